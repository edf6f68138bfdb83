/** A disk whose every flush takes seconds (SECURITY F12): who waits for it is slow, the auth service is not. */

import { spawn, spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { listPresence } from '../../src/api/routes.ts'
import { Cluster, freePorts, temporaryDirectory } from '../cluster.ts'
import { until } from '../run.ts'
import { type Bench, openBench } from './bench.ts'

const FLUSH_MS = 2000
const canTrace = spawnSync('strace', ['-o', '/dev/null', '-e', 'trace=fsync', 'true']).status === 0 && attachable()

/** Attaching to a process that is not a child needs a permission of its own. */
function attachable(): boolean {
  const sleeper = spawn('sleep', ['30'])
  try {
    const options = ['-o', '/dev/null', '-e', 'trace=fsync', '-p', String(sleeper.pid)]
    return spawnSync('timeout', ['-s', 'INT', '1', 'strace', ...options], { encoding: 'utf8' }).stderr.includes(
      ' attached',
    )
  } finally {
    sleeper.kill('SIGKILL')
  }
}

describe.runIf(canTrace)('a slow disk of auth', () => {
  test('F12 each flush takes seconds: auth answers at once, logins are slow and do not fail, nodes stay', {
    timeout: 150_000,
  }, async () => {
    const dir = temporaryDirectory()
    const label = join(dir, 'label')
    writeFileSync(label, 'before')
    const ssh = `  commands: [{name: told, command: [cat, ${label}], period: 1s}]`
    const cluster = new Cluster(dir, await freePorts(), { ssh })
    onTestFinished(() => cluster.remove(), 30_000)
    await cluster.start()
    await cluster.addUser('alice')
    const bench = await openBench(cluster)
    onTestFinished(() => bench.api.close())
    const processes = bench.processes()
    const flushes = await slowFlushes(bench)

    writeFileSync(label, 'after')
    const login = timed(() => cluster.login('alice'))
    const created = timed(() => cluster.addUser('bob'))
    const longest = await longestGreeting(cluster.ports.auth, Promise.allSettled([login, created]))
    const [loginMs, createMs] = await Promise.all([login, created])
    // They did wait for the disk, and the event loop did not.
    expect(flushes()).toBeGreaterThan(2)
    expect(Math.min(loginMs, createMs)).toBeGreaterThan(FLUSH_MS)
    expect(longest).toBeLessThan(FLUSH_MS / 2)
    // A heartbeat with something new is a write too.
    await until('the new label', async () => {
      const nodes = await cluster.admin.answer((api) => api.call(listPresence, { query: { role: 'node' } }))
      return nodes?.items.some(({ labels }) => labels.told === 'after') ? true : undefined
    })
    expect(bench.processes()).toEqual(processes)
  })
})

/** Of the process of auth and all its threads. Gives the number so far. */
async function slowFlushes(bench: Bench): Promise<() => number> {
  const pid =
    bench
      .processes()
      .find((entry) => entry.startsWith('auth:'))
      ?.slice('auth:'.length) ?? ''
  const inject = `inject=fsync,fdatasync:delay_enter=${FLUSH_MS * 1000}`
  const strace = spawn('strace', ['-f', '-e', 'trace=fsync,fdatasync', '-e', inject, '-p', pid])
  onTestFinished(() => void strace.kill('SIGINT'))
  let output = ''
  strace.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  await until('strace', async () => (output.includes(' attached') ? true : undefined))
  return () => output.split(/(?:fsync|fdatasync)\(/).length - 1
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await run()
  return performance.now() - start
}

/** How long the port of auth took at most to greet a new connection, tried again and again until `done`. Milliseconds. */
async function longestGreeting(port: number, done: Promise<unknown>): Promise<number> {
  let longest = 0
  let over = false
  void done.then(() => {
    over = true
  })
  while (!over) {
    longest = Math.max(longest, await timed(() => greeting(port)))
    await delay(20)
  }
  return longest
}

function greeting(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', reject)
    socket.once('data', () => {
      socket.destroy()
      resolve()
    })
  })
}
