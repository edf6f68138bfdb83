/** The thread that records: everything that costs time happens here, away from the sessions' own thread. */

import { parentPort } from 'node:worker_threads'
import { realEnv } from '../../common/env.ts'
import { RecordingEngine } from './engine.ts'
import type { ToWorker } from './messages.ts'

if (parentPort === null) throw new Error('this file is a part of the node service and does nothing alone')
const port = parentPort
const engine = new RecordingEngine({
  env: realEnv,
  send: (message, transfer = []) => port.postMessage(message, [...transfer]),
})
port.on('message', (message: ToWorker) => engine.receive(message))
