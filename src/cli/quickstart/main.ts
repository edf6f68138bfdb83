/** `npm run quickstart`: from a bare checkout to a running cluster with a user, in the foreground, below one directory. */

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { realEnv } from '../../common/env.ts'
import { createLogger } from '../../common/logger.ts'
import { version } from '../../common/version.ts'
import { loadConfig } from '../../config/load.ts'
import { BadParameter, SystemError } from '../../errors/errors.ts'
import { startSupervisor } from '../../service/supervisor.ts'
import { leave, reportError } from '../common/exit.ts'
import { prepareFiles } from './files.ts'
import { nextSteps } from './steps.ts'
import { ensureUser } from './user.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '')
const say = (line: string) => process.stdout.write(`${line}\n`)

function directoryFlag(argv: readonly string[]): string {
  const [first, second, ...rest] = argv
  if (first === undefined) return resolve('quickstart')
  const value = first === '--dir' ? second : first.startsWith('--dir=') ? first.slice('--dir='.length) : undefined
  const extra = first === '--dir' ? rest : argv.slice(1)
  if (value === undefined || value === '' || extra.length > 0) {
    throw new BadParameter('--dir', 'usage: npm run quickstart [-- --dir=DIRECTORY]')
  }
  return resolve(value)
}

/** Bundles the programs, once: they start several times faster than from the sources. */
function build(): void {
  if (existsSync(`${root}/dist/teleport.js`)) return
  say('==> Bundling the programs (npm run build)')
  const { status } = spawnSync(process.execPath, ['scripts/build.ts'], { cwd: root, stdio: 'inherit' })
  if (status !== 0) throw new SystemError('EBUILD', 'the programs could not be bundled; see above')
}

async function main(): Promise<number> {
  const directory = directoryFlag(process.argv.slice(2))
  build()
  const files = await prepareFiles(directory)
  say(files.isNew ? `==> Making a cluster below ${directory}` : `==> Starting the cluster below ${directory} again`)
  const loaded = await loadConfig({ file: files.config })
  const logger = createLogger(loaded.config.log)
  const ending = new AbortController()
  const stopped = Promise.withResolvers<void>()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      ending.abort(new Error('stopped'))
      stopped.resolve()
    })
  }
  try {
    const supervisor = await startSupervisor(
      {
        loaded,
        version,
        script: `${root}/dist/teleport.js`,
        env: realEnv,
        logger,
        say,
        reloadConfig: () => loadConfig({ file: files.config }),
      },
      ending.signal,
    )
    const user = await ensureUser(loaded.config, logger)
    say(nextSteps({ root, directory, config: loaded.config, user }))
    await stopped.promise
    say('==> Stopping')
    await supervisor.stop('SIGTERM')
    return 0
  } catch (error) {
    if (ending.signal.aborted) return 0
    throw error
  }
}

await leave(await main().catch((error: unknown) => reportError('quickstart', error)))
