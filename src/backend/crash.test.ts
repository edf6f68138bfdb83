import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { realEnv } from '../common/env.ts'
import { sayProgram } from '../common/testing/say.ts'
import { rangeAll } from './contract.ts'
import { openSqliteBackend } from './sqlite.ts'

/** Writes without end, several at a time, and prints the number of each write after it was acknowledged. */
const writer = (path: string, start: number) => `
  ${sayProgram}
  import { openSqliteBackend } from ${JSON.stringify(join(import.meta.dirname, 'sqlite.ts'))}
  import { realEnv } from ${JSON.stringify(join(import.meta.dirname, '../common/env.ts'))}
  const backend = await openSqliteBackend(${JSON.stringify(path)}, realEnv)
  let next = ${start}
  const lane = async () => {
    for (;;) {
      const n = String(next++)
      await backend.commit([
        { op: 'put', item: { key: ['left', n], value: n.repeat(200) } },
        { op: 'put', item: { key: ['right', n], value: n } },
      ])
      await say(n)
    }
  }
  await Promise.all([lane(), lane(), lane()])`

test('every acknowledged write is there after SIGKILL, and no change is half done', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'crash-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  const path = join(dir, 'state.sqlite')
  const acknowledged = new Set<string>()
  for (let round = 0; round < 6; round++) {
    const child = spawn('node', ['--input-type=module', '-e', writer(path, round * 1_000_000)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    await killAfter(child, 5 + Math.floor(realEnv.randomBytes(1).readUInt8() / 2), acknowledged)
    const backend = await openSqliteBackend(path, realEnv)
    const left = await names(backend, 'left')
    const right = await names(backend, 'right')
    await backend.close()
    expect([...acknowledged].filter((n) => !left.has(n))).toEqual([])
    expect(left).toEqual(right)
  }
  expect(acknowledged.size).toBeGreaterThan(30)
})

async function names(backend: Awaited<ReturnType<typeof openSqliteBackend>>, prefix: string): Promise<Set<string>> {
  const found = new Set<string>()
  for await (const item of rangeAll(backend, [prefix])) found.add(item.key[1] ?? '')
  return found
}

/** Kills after a random number of acknowledgements, and keeps what was printed up to the end. */
async function killAfter(child: ChildProcess, count: number, acknowledged: Set<string>): Promise<void> {
  const { stdout } = child
  if (stdout === null) throw new Error('no output')
  const exited = new Promise((resolve) => child.once('close', resolve))
  let seen = 0
  for await (const line of createInterface({ input: stdout })) {
    acknowledged.add(line)
    if (++seen === count) child.kill('SIGKILL')
  }
  await exited
}
