/** An X server without a screen, with a cookie of its own, for tests of X11 forwarding. */

import { execFileSync, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'

export interface XServer {
  /** `:7` */
  readonly display: string
  /** DISPLAY and XAUTHORITY for its clients. */
  readonly env: Readonly<Record<string, string>>
  /** Hexadecimal; nobody but its clients on this side may ever see it. */
  readonly cookie: string
  stop(): Promise<void>
}

/** `authority` is a file that does not exist yet. */
export async function startXServer(authority: string): Promise<XServer> {
  const cookie = 'a1b2c3d4'.repeat(4)
  const add = (name: string) => {
    const input = `add ${name} MIT-MAGIC-COOKIE-1 ${cookie}\n`
    execFileSync('xauth', ['-q', '-f', authority], { input, stdio: ['pipe', 'ignore', 'ignore'] })
  }
  add(':0')
  // Without -noreset it would forget all cookies that it made whenever its last client leaves.
  const args = ['-noreset', '-displayfd', '1', '-nolisten', 'tcp', '-auth', authority, '-screen', '0', '640x480x24']
  const child = spawn('Xvfb', args, { stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const number = await new Promise<string>((resolve, reject) => {
    let said = ''
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString()
      if (said.endsWith('\n')) resolve(said.trim())
    })
    child.once('error', reject)
    void ended.then(() => reject(new Error('Xvfb ended')))
  })
  add(`:${number}`)
  return {
    display: `:${number}`,
    env: { DISPLAY: `:${number}`, XAUTHORITY: authority },
    cookie,
    async stop() {
      child.kill()
      await ended
    },
  }
}

/** A hundred displays for one test process, below the ports that the kernel gives away by itself: others test at the same time. */
export function ownDisplays() {
  const firstDisplay = 1000 + (process.pid % 240) * 100
  return { enabled: true, firstDisplay, lastDisplay: firstDisplay + 99 }
}

/** TCP ports of our own displays that somebody listens on, of both versions of IP, sorted. */
export function displayPorts(): number[] {
  const { firstDisplay, lastDisplay } = ownDisplays()
  const rows = ['tcp', 'tcp6'].flatMap((file) => readFileSync(`/proc/net/${file}`, 'utf8').split('\n'))
  const ports = rows.flatMap((row) => {
    const [, local = '', , state] = row.trim().split(/\s+/)
    const port = Number.parseInt(local.split(':')[1] ?? '', 16)
    return state === '0A' && port >= 6000 + firstDisplay && port <= 6000 + lastDisplay ? [port] : []
  })
  return ports.sort()
}
