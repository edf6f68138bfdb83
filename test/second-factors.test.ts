/** Second factors as people meet them: sign-up and security keys in Chromium, `tsh` that waits for the browser, sessions that ask for a factor. */

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BrowserPage, openBrowser } from './browser.ts'
import { type Cluster, login, oneTimeCode, password, startCluster } from './cluster.ts'
import { bin, cleanEnv, Dialog, run, until } from './run.ts'

/** Alice's, after she has changed it. */
const next = `${password}, another one`

let cluster: Cluster
let browser: BrowserPage
let alice: string
/** A session of Alice's for others to join. */
let session: Dialog

beforeAll(async () => {
  ;[cluster, browser] = await Promise.all([
    startCluster({ auth: '  authentication: {type: local, second_factor: on}' }),
    openBrowser(),
  ])
  alice = cluster.home('alice')
  const role = join(cluster.dir, 'strict.yaml')
  writeFileSync(
    role,
    `kind: role
version: v4
metadata: {name: strict}
spec:
  options: {require_session_mfa: yes, session_mfa_grant_ttl: 30m}
  allow:
    logins: ['{{internal.logins}}']
    node_labels: {env: dev}
    join_sessions: [{name: all, roles: ['*'], modes: [observer]}]
`,
  )
  const made = await cluster.tctl('create', '-f', role)
  expect(made.code, made.stderr).toBe(0)
})
afterAll(async () => {
  await browser?.close()
  await cluster?.remove()
})

const invite = async (name: string, roles = 'strict'): Promise<string> => {
  const added = await cluster.tctl('users', 'add', name, login, `--roles=${roles}`)
  return /https:\S+/.exec(added.stdout)?.[0] ?? ''
}

const start = (home: string, ...args: readonly string[]): Dialog =>
  new Dialog(bin('tsh'), args, { env: cluster.env({ TELEPORT_HOME: home, TELEPORT_BROWSER: 'none' }) })

/** Opens the page that `tsh` names, compares the words, and touches the key. */
async function tap(tsh: Dialog, nth = 0): Promise<void> {
  const pages = /(https:\/\/localhost:\d+\/web\/mfa\/[0-9a-f]{32})\s+The page shows: ([A-Z]{4}-\d{4})/g
  const found = await until(
    'the address of a page',
    () => [...tsh.output.matchAll(pages)][nth],
    30_000,
    () => tsh.output,
  )
  const { page } = browser
  await page.goto(found[1] ?? '')
  await page.locator('#use-key').waitFor()
  expect(await page.locator('#phrase').textContent()).toBe(found[2])
  expect(await page.locator('#details').textContent()).toContain('alice')
  await page.locator('#use-key').click()
  await page.waitForURL(/^http:\/\/127\.0\.0\.1:\d+\/callback/)
  expect(await page.locator('h1').textContent()).toBe('Done')
}

describe('a security key', () => {
  test('sign-up in a browser enrols it and shows recovery codes', async () => {
    const { page, complaints } = browser
    await page.goto(await invite('alice'))
    await page.fill('#password', password)
    await page.fill('#again', password)
    // The app's picture and secret are there for those who want them.
    expect(await page.locator('#qr svg').count()).toBe(1)
    await page.check('#factor-key')
    await page.fill('#key-name', 'blue key')
    await page.click('#finish')
    await page.locator('#done').waitFor()
    expect(await page.locator('#codes code').allTextContents()).toHaveLength(8)
    expect(complaints).toEqual([])
  })

  test('tsh login waits for the browser, and nobody else can finish it', async () => {
    const tsh = start(alice, 'login', '--insecure', `--proxy=${cluster.proxyAddress}`, '--user=alice')
    tsh.send(`${password}\n`)
    const [, url = ''] = await tsh.expect(/(https:\S+\/web\/mfa\/[0-9a-f]{32})/)
    // Another process of this machine posts to the listener without its state: nothing happens (C6).
    const view = await fetchJson(`https://localhost:${cluster.ports.web}/webapi/ceremonies/open`, url.slice(-32))
    expect(view).toMatchObject({ user: 'alice', title: 'Log in with tsh' })
    expect(JSON.stringify(view)).not.toMatch(/secret|"state"/)
    await tap(tsh)
    expect(await tsh.exited, tsh.output).toBe(0)
    expect(tsh.output).toContain('Logged in as:       alice')
    // The page is used up.
    await browser.page.goto(url)
    await browser.page.locator('#status.error').waitFor()
    expect(await browser.page.locator('#status').textContent()).toMatch(/expired, was used, or never existed/)
  })

  test('tsh mfa ls, add and rm, proved in the browser', async () => {
    const listed = await cluster.tsh(alice, ['mfa', 'ls'])
    expect(listed.stdout).toMatch(/^Name +Type +Added at +Last used *\n-+ +-+ +-+ +-+ *\nblue key +WebAuthn +\d\d /)
    const add = start(alice, 'mfa', 'add', '--type=TOTP', '--name=phone')
    await tap(add)
    const [, secret = ''] = await add.expect(/secret into it: ([A-Z2-7]+)/)
    add.send(`${oneTimeCode(secret)}\n`)
    expect(await add.exited, add.output).toBe(0)
    const both = JSON.parse((await cluster.tsh(alice, ['mfa', 'ls', '--format=json'])).stdout)
    expect(both.map(({ name, kind }: { name: string; kind: string }) => [name, kind])).toEqual([
      ['blue key', 'webauthn'],
      ['phone', 'totp'],
    ])
    const remove = await cluster.tsh(alice, ['mfa', 'rm', 'phone'], { input: `${oneTimeCode(secret, 30)}\n` })
    expect(remove.stdout).toContain('The device "phone" has been removed.')
    const last = start(alice, '--mfa-mode=webauthn', 'mfa', 'rm', 'blue key')
    await tap(last)
    expect(await last.exited).not.toBe(0)
    expect(last.output).toContain('this is your last device')
  })

  test('tsh passwd waits for the browser too', async () => {
    const tsh = start(alice, 'passwd', '--insecure')
    tsh.send(`${password}\n`)
    await tap(tsh)
    await tsh.expect(/Enter the new password/)
    tsh.send(`${next}\n`)
    await tsh.expect(/The same password again/)
    tsh.send(`${next}\n`)
    expect(await tsh.exited, tsh.output).toBe(0)
    expect(tsh.output).toContain('The password has been changed.')
  })
})

describe('a second factor for each session', () => {
  test('without one plain ssh is refused, with a word about what to do; tsh asks', async () => {
    const config = join(cluster.dir, 'ssh_config')
    writeFileSync(config, (await cluster.tsh(alice, ['config'])).stdout)
    const ssh = () => run('ssh', ['-F', config, `${login}@node-1.feat`, 'echo in'], { env: cleanEnv() })
    const refused = await ssh()
    expect(refused.code).toBe(255)
    expect(refused.stderr).toMatch(
      /a second factor is required for each session on node-1: .*tsh mfa grant --hosts=node-1/,
    )
    expect(refused.stderr).not.toMatch(/no such file/i)

    const tsh = start(alice, 'ssh', `${login}@node-1`, 'echo in; sleep 0')
    await tap(tsh)
    expect(await tsh.exited, tsh.output).toBe(0)
    expect(tsh.output).toMatch(/^in$/m)

    // One tap for a list of servers and a while, for plain ssh too.
    const tooLong = await cluster.tsh(alice, ['mfa', 'grant', '--hosts=node-1', '--ttl=31m'], {
      env: { TELEPORT_BROWSER: 'none' },
    })
    expect(tooLong.stderr === '' ? tooLong.stdout : tooLong.stderr).toMatch(/your roles allow 1 minute to 30 minutes/)
    const grant = start(alice, 'mfa', 'grant', '--hosts=env=dev', '--ttl=10m')
    await tap(grant)
    expect(await grant.exited, grant.output).toBe(0)
    expect(await ssh()).toMatchObject({ code: 0, stdout: 'in\n' })
    const many = await cluster.tsh(alice, ['ssh', `${login}@env=dev`, 'echo', 'all'])
    expect(many.stdout).toBe('[node-1] all\n')
    const events = await cluster.tctl('audit', 'ls', '--type=session_mfa.grant', '--format=json')
    expect(JSON.parse(events.stdout)[0]).toMatchObject({
      code: 'TSM00I',
      hosts: ['env=dev'],
      mfa_device_name: 'blue key',
    })
    session = new Dialog('ssh', ['-tt', '-F', config, `${login}@node-1.feat`, 'echo all-see-this; cat'])
    await session.expect(/all-see-this/)
    const out = await cluster.tsh(alice, ['logout'])
    expect(out.code).toBe(0)
    expect(existsSync(join(alice, 'keys/localhost/alice-mfa-cert.pub'))).toBe(false)
  })

  test('with an app the code is asked for in the terminal, for copying and joining too', async () => {
    const bob = cluster.home('bob')
    const signup = start(bob, 'signup', '--insecure', await invite('bob'))
    signup.send(`${password}\n${password}\n`)
    const [, secret = ''] = await signup.expect(/secret into it: ([A-Z2-7]+)/)
    signup.send(`${oneTimeCode(secret, -30)}\n`)
    expect(await signup.exited, signup.output).toBe(0)
    expect(signup.output).toContain('Recovery codes')
    const [recovery = ''] = /(?:[0-9a-z]{4}-){3}[0-9a-z]{4}/.exec(signup.output) ?? []
    const logged = await cluster.tsh(bob, ['login', '--insecure', `--proxy=${cluster.proxyAddress}`, '--user=bob'], {
      input: `${password}\n${recovery}\n`,
    })
    expect(logged.code, logged.stderr).toBe(0)
    const noCode = await cluster.tsh(bob, ['ssh', `${login}@node-1`, 'true'], { input: '000000\n' })
    expect(noCode.code).toBe(255)
    expect(noCode.stderr).toContain('wrong or used code')
    const file = join(cluster.dir, 'copied')
    const copied = await cluster.tsh(bob, ['scp', '-q', `${login}@node-1:${cluster.config}`, file], {
      input: `${oneTimeCode(secret)}\n`,
    })
    expect(copied.code, copied.stderr).toBe(0)
    expect(readFileSync(file, 'utf8')).toContain('ssh_service')
    const listed = await cluster.tsh(bob, ['sessions', 'ls', '--format=json'])
    const [{ sid }] = JSON.parse(listed.stdout) as [{ sid: string }]
    const refused = await cluster.tsh(bob, ['join', sid, '--mode=observer'], { input: '000000\n' })
    expect(refused.code).not.toBe(0)
    expect(refused.stderr).toContain('wrong or used code')
    expect(refused.stdout).not.toContain('all-see-this')
    const joined = start(bob, 'join', sid, '--mode=observer')
    joined.send(`${oneTimeCode(secret, 30)}\n`)
    await joined.expect(/all-see-this/)
    session.send('\x04')
    await Promise.all([session.exited, joined.exited])
  })
})

/** Posts to the proxy as any program could. */
async function fetchJson(url: string, id: string): Promise<unknown> {
  const { stdout } = await run('curl', [
    '-sk',
    '-H',
    'content-type: application/json',
    '-d',
    JSON.stringify({ id }),
    url,
  ])
  return JSON.parse(stdout)
}

test('the listener of tsh is on a loopback address and answers nobody without its state', async () => {
  const home = cluster.home('listener')
  const refused = await cluster.tsh(
    home,
    ['login', '--insecure', `--proxy=${cluster.proxyAddress}`, '--user=alice', '--bind-addr=0.0.0.0:4444'],
    { input: `${next}\n`, env: { TELEPORT_BROWSER: 'none' } },
  )
  expect(refused.code).toBe(2)
  expect(refused.stderr).toContain('is not 127.0.0.1:PORT')
  const port = cluster.ports.node + 1
  const args = [
    'login',
    '--insecure',
    `--proxy=${cluster.proxyAddress}`,
    '--user=alice',
    `--bind-addr=127.0.0.1:${port}`,
  ]
  const tsh = start(home, ...args)
  tsh.send(`${next}\n`)
  await tsh.expect(/web\/mfa/)
  const answer = await new Promise<string>((resolve, reject) => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(`GET /callback?state=${'0'.repeat(32)}&code=${'0'.repeat(32)} HTTP/1.1\r\nhost: a\r\n\r\n`),
    )
    socket.on('data', (chunk) => {
      text += String(chunk)
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(text))
  })
  expect(answer).toMatch(/^HTTP\/1\.1 400 /)
  expect(tsh.child.exitCode).toBe(null)
  await tsh.stop()
})
