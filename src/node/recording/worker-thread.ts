/** The recording worker as a thread of this process. */

import { Worker } from 'node:worker_threads'
import { programFile } from '../../common/program-file.ts'
import type { FromWorker, ToWorker } from './messages.ts'

export interface WorkerPort {
  post(message: ToWorker, transfer?: readonly ArrayBuffer[]): void
  close(): Promise<void>
}

export interface WorkerEvents {
  message(message: FromWorker): void
  /** It ended, and nobody asked for that. Told once. */
  gone(reason: unknown): void
}

export type StartWorker = (events: WorkerEvents) => WorkerPort

/** Megabytes; strangers decide what the emulators hold, within their own limits. */
const resourceLimits = { maxOldGenerationSizeMb: 1024 }

export const startWorkerThread: StartWorker = (events) => {
  const file = programFile(new URL('./worker.ts', import.meta.url), 'recording-worker', import.meta.url)
  // Its own: what is wrong with our arguments or environment is no reason for it to stay away.
  const worker = new Worker(file, { resourceLimits, execArgv: [], name: 'recording' })
  worker.unref()
  let over = false
  const gone = (reason: unknown) => {
    if (over) return
    over = true
    events.gone(reason)
  }
  worker.on('message', (message: FromWorker) => {
    if (!over) events.message(message)
  })
  worker.on('error', gone)
  worker.on('exit', (code) => gone(new Error(`exit code ${code}`)))
  return {
    post: (message, transfer = []) => worker.postMessage(message, [...transfer]),
    async close() {
      over = true
      await worker.terminate()
    },
  }
}
