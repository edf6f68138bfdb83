import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { realEnv } from '../../common/env.ts'
import { beginningFor, loadAppFiles, type PageFacts } from './app-files.ts'

const config = { clusterName: 'feat', secondFactor: 'otp', messageOfTheDay: '' } as const
const facts: PageFacts = { path: '/web/nodes', hasSession: false, config }

test.each<{ name: string; facts: Partial<PageFacts>; beginning: string }>([
  { name: 'who is not logged in is led to the login', facts: {}, beginning: 'login-otp' },
  {
    name: 'the login has the fields that it will have',
    facts: { path: '/web/login', config: { ...config, secondFactor: 'off' } },
    beginning: 'login-off',
  },
  {
    name: 'before the login there may be a message, of which nobody knows the height',
    facts: { config: { ...config, messageOfTheDay: 'Be kind.' } },
    beginning: 'unknown',
  },
  { name: 'who is logged in sees the servers come', facts: { hasSession: true }, beginning: 'nodes' },
  { name: 'or another page', facts: { hasSession: true, path: '/web/audit' }, beginning: 'other' },
  {
    name: 'who is logged in and opens the login is led away',
    facts: { hasSession: true, path: '/web/login' },
    beginning: 'unknown',
  },
  { name: 'before auth was reached nothing is known', facts: { config: undefined }, beginning: 'unknown' },
])('$name', ({ facts: some, beginning }) => {
  expect(beginningFor({ ...facts, ...some }).name).toBe(beginning)
})

test('the name of the cluster is text in the page, whatever it is, and the policy lets nothing foreign in', async () => {
  const from = await mkdtemp(join(tmpdir(), 'app-files-'))
  await mkdir(join(from, 'assets'))
  await writeFile(join(from, 'index.html'), '<div>__BEGINNING__</div><i nonce="__NONCE__">')
  await writeFile(join(from, 'beginnings.json'), JSON.stringify({ nodes: '<b>__CLUSTER__</b>' }))
  const files = await loadAppFiles(from)
  const { html, policy } = files?.page(realEnv, { name: 'nodes', clusterName: '<script>$&$1</script>' }) ?? {}
  expect(html).toMatch(/^<div><b>&lt;script&gt;\$&amp;\$1&lt;\/script&gt;<\/b><\/div><i nonce="[\w-]{22}">$/)
  expect(files?.page(realEnv, { name: 'gone', clusterName: 'feat' }).html).toContain('<div></div>')
  // W2, W4: no script but from here, none inside the page, and no frame of another page.
  expect(policy).toContain("default-src 'none'; script-src 'self'; ")
  expect(policy).toContain("frame-ancestors 'none'")
  expect(policy).not.toContain('unsafe')
})
