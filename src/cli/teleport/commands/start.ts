/** `teleport start` */

import { realEnv } from '../../../common/env.ts'
import { readFileBounded } from '../../../common/files.ts'
import { createLogger } from '../../../common/logger.ts'
import { version } from '../../../common/version.ts'
import { loadConfig } from '../../../config/load.ts'
import type { LoadedConfig, StartFlags } from '../../../config/types.ts'
import { BadParameter } from '../../../errors/errors.ts'
import { startSupervisor } from '../../../service/supervisor.ts'
import { givenFile } from '../../common/given-file.ts'
import { printableLines } from '../../common/printable.ts'
import type { CommandRun, OptionValues } from '../../common/spec.ts'

const flagNames = ['roles', 'token', 'nodename', 'labels', 'advertiseIp', 'listenIp', 'pidFile', 'diagAddr'] as const

function startFlags(options: OptionValues): StartFlags {
  const texts = flagNames.flatMap((name) => {
    const value = options.string(name)
    return value === undefined ? [] : [[name, value] as const]
  })
  const caPin = options.list('caPin')
  const authServer = options.list('authServer')
  return {
    ...Object.fromEntries(texts),
    ...(caPin.length === 0 ? {} : { caPin }),
    ...(authServer.length === 0 ? {} : { authServer }),
    ...(options.flag('debug') ? { debug: true } : {}),
  }
}

/** Bytes. */
const maxBootstrap = 16 * 1024 * 1024

/** Only for this start: a reload reads the configuration alone. */
async function withBootstrap(loaded: LoadedConfig, file: string | undefined): Promise<LoadedConfig> {
  if (file === undefined) return loaded
  if (!loaded.config.auth.enabled)
    throw new BadParameter('--bootstrap', '--bootstrap: a new cluster begins where the auth service runs')
  const text = (await givenFile('--bootstrap', readFileBounded(file, maxBootstrap))).toString('utf8')
  return { ...loaded, config: { ...loaded.config, bootstrap: { file, text } } }
}

export const start: CommandRun = async ({ options }) => {
  const given = startFlags(options)
  const file = options.string('config') ?? (process.env.TELEPORT_CONFIG_FILE || undefined)
  const token = given.token ?? (process.env.TELEPORT_SSH_TOKEN || undefined)
  const load = () =>
    loadConfig({
      ...(file === undefined ? {} : { file }),
      flags: { ...given, ...(token === undefined ? {} : { token }) },
    })
  const plain = await givenFile('--config', load())
  const loaded = await withBootstrap(plain, options.string('bootstrap'))
  const logger = createLogger(loaded.config.log)
  const ending = new AbortController()
  const stopped = Promise.withResolvers<'SIGTERM' | 'SIGQUIT'>()
  const ask = (how: 'SIGTERM' | 'SIGQUIT') => () => {
    ending.abort(new Error('stopped'))
    stopped.resolve(how)
  }
  process.on('SIGTERM', ask('SIGTERM'))
  process.on('SIGINT', ask('SIGTERM'))
  process.on('SIGQUIT', ask('SIGQUIT'))
  // Before there is something to reload, a hang-up must not end the process either.
  process.on('SIGHUP', () => undefined)
  try {
    const supervisor = await startSupervisor(
      {
        loaded,
        version,
        script: process.argv[1] ?? '',
        env: realEnv,
        logger,
        say: (line) => process.stdout.write(`${printableLines(line)}\n`),
        reloadConfig: load,
      },
      ending.signal,
    )
    let reloading = Promise.resolve()
    process.on('SIGHUP', () => {
      reloading = reloading.then(() => supervisor.reload())
    })
    const how = await stopped.promise
    // Draining may take hours: a second signal ends it.
    process.on('SIGTERM', () => void supervisor.stop('SIGTERM').then(() => process.exit(0)))
    process.on('SIGINT', () => void supervisor.stop('SIGTERM').then(() => process.exit(0)))
    await supervisor.stop(how)
    return 0
  } catch (error) {
    if (ending.signal.aborted) return 0
    throw error
  }
}
