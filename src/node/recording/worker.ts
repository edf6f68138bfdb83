/** The thread that records: everything that costs time happens here, away from the sessions' own thread. */

import { parentPort } from 'node:worker_threads'
import { realEnv } from '../../common/env.ts'
import { yieldToOthers } from '../../common/thread-priority.ts'
import { RecordingEngine } from './engine.ts'
import type { ToWorker } from './messages.ts'

if (parentPort === null) throw new Error('this file is a part of the node service and does nothing alone')
const port = parentPort
// The sessions themselves come first. Output that waits for this thread is bounded: at the bound they wait for it.
yieldToOthers(5)
const engine = new RecordingEngine({
  env: realEnv,
  send: (message, transfer = []) => port.postMessage(message, [...transfer]),
})
port.on('message', (message: ToWorker) => engine.receive(message))
