/** One supervisor for a data directory: two would corrupt each other's state. The lock dies with its holder, `kill -9` included. */

import { unlinkSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { AlreadyAcquired } from '../errors/errors.ts'
import { convertSystemError, errnoOf } from '../errors/system.ts'

/** Held, it also keeps the process alive: a supervisor that only waits (for its next attempt, for a restart) has nothing else that would. */
export interface DataLock {
  release(): Promise<void>
}

/** Throws AlreadyAcquired when a live process holds the directory. */
export async function lockDataDirectory(dataDir: string): Promise<DataLock> {
  // A socket's path may have 107 bytes; through the descriptor it is short wherever the directory is.
  const directory = await open(dataDir, 'r')
  const path = `/proc/self/fd/${directory.fd}/supervisor.sock`
  try {
    return await acquire(path, dataDir, directory)
  } catch (error) {
    await directory.close()
    throw error
  }
}

async function acquire(path: string, dataDir: string, directory: FileHandle): Promise<DataLock> {
  for (let attempt = 0; ; attempt++) {
    try {
      const server = await listen(path)
      return {
        async release() {
          await new Promise<void>((resolve) => server.close(() => resolve()))
          await directory.close()
        },
      }
    } catch (error) {
      const errno = errnoOf(error)
      if (errno !== 'EADDRINUSE' || attempt > 0)
        throw convertSystemError(error, `lock ${join(dataDir, 'supervisor.sock')}`)
      if (await answers(path)) {
        throw new AlreadyAcquired(
          `another teleport is running with the data directory ${dataDir}; stop it first, or name another data_dir`,
        )
      }
      unlinkSync(path)
    }
  }
}

function listen(path: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy())
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => resolve(server))
  })
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
