/** A process that records without end into the spool named on its command line, for tests that kill it. */

import { headerOf } from '../../../audit/recording/testing/make.ts'
import { realEnv } from '../../../common/env.ts'
import { silentLogger } from '../../../common/log.ts'
import { ConnectionProblem } from '../../../errors/errors.ts'
import { openRecorder } from '../recorder.ts'

const [, , dir = '', sid = ''] = process.argv
const away = async (): Promise<never> => {
  throw new ConnectionProblem('auth is away')
}
const recorder = await openRecorder({
  dir,
  upload: { begin: away, append: away, complete: away },
  env: realEnv,
  logger: silentLogger,
  onFailed: () => {},
})
const tap = await recorder.open({ header: headerOf({ sid }), mode: 'node', strict: true, onFailure: () => {} })
for (let line = 0; ; line++) {
  await tap.output(Buffer.from(`line ${line} ${Math.random()} ${Math.random()} ${Math.random()}\r\n`.repeat(40)))
  if (line % 50 === 0) await realEnv.sleep(1)
  // The test reads how far it came.
  if (line % 1000 === 0) process.stdout.write(`${line}\n`)
}
