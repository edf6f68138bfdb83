import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { openRecordingDirectory } from './directory.ts'
import { recordingSuite } from './suite.ts'

async function tempDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'recordings-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

recordingSuite('directory', async (onComplete) =>
  openRecordingDirectory(join(await tempDir(), 'recordings'), { onComplete, reserveBytes: 0 }),
)
