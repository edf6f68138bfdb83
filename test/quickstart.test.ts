/** The quickstart, as far as it goes without a person: starts, prints steps that work, stops, starts again on the same data. */

import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { oneTimeCode, password, temporaryDirectory } from './cluster.ts'
import { Dialog, run } from './run.ts'

const dir = temporaryDirectory()
const quickstart = () =>
  new Dialog(process.execPath, ['src/cli/quickstart/main.ts', `--dir=${join(dir, 'q')}`], {
    env: { XDG_CACHE_HOME: dir },
  })

afterAll(() => rmSync(dir, { recursive: true, force: true }))

describe('the quickstart', () => {
  test('prints lines that can be typed as they are', async () => {
    const running = quickstart()
    try {
      await running.expect(/Ctrl-C stops the cluster/)
      const lines = running.output.split('\n').map((line) => line.trim())
      const line = (start: string) => lines.find((each) => each.startsWith(start)) ?? `missing: ${start}`
      const setup = line('export PATH=')
      const shell = (command: string, input = '') =>
        run('bash', ['--norc', '-c', `${setup}; ${command}`], { input, env: { XDG_CACHE_HOME: dir } })
      const signup = new Dialog('bash', ['--norc', '-c', `${setup}; ${line('tsh signup')}`])
      signup.send(`${password}\n${password}\n`)
      const secret = (await signup.expect(/secret into it: ([A-Z2-7]+)/))[1] ?? ''
      signup.send(`${oneTimeCode(secret)}\n`)
      expect(await signup.exited, signup.output).toBe(0)
      const loggedIn = await shell(line('tsh login'), `${password}\n${oneTimeCode(secret, 30)}\n`)
      expect(loggedIn.code, loggedIn.stderr).toBe(0)
      expect((await shell('tsh ls')).stdout).toContain('env=quickstart')
      const uptime = await shell(lines.find((each) => each.startsWith('tsh ssh') && each.endsWith('uptime')) ?? 'false')
      expect(uptime.stdout, uptime.stderr).toContain('load average')
      await shell(line('tsh config >'))
      const plain = await shell(`${line('ssh -F')} echo plain`)
      expect(plain).toEqual({ code: 0, stdout: 'plain\n', stderr: '' })
      const status = lines.find((each) => each.startsWith('tctl -c') && each.endsWith(' status')) ?? 'false'
      expect((await shell(status)).stdout).toContain('quickstart')
      expect(statSync(join(dir, 'q')).mode & 0o777).toBe(0o700)
    } finally {
      expect(await running.stop('SIGINT'), running.output).toBe(0)
    }
  })

  test('goes on with the same data', async () => {
    const running = quickstart()
    await running.expect(/Ctrl-C stops the cluster/)
    expect(running.output).not.toContain('tsh signup')
    expect(await running.stop('SIGINT')).toBe(0)
  })
})
