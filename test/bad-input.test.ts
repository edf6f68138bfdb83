/** Malformed input of every kind: one clear line that names it, exit code 2, nothing changed. */

import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { realEnv } from '../src/common/env.ts'
import { generateEd25519 } from '../src/ssh/keys/private-key.ts'
import { formatPrivateKey } from '../src/ssh/keys/private-key-file.ts'
import { type Cluster, startCluster } from './cluster.ts'
import { bin, run } from './run.ts'

let cluster: Cluster

beforeAll(async () => {
  cluster = await startCluster()
})
afterAll(async () => {
  await cluster.remove()
})

interface Row {
  readonly name: string
  readonly program: 'teleport' | 'tctl' | 'tsh'
  readonly args: readonly string[]
  readonly says: string | RegExp
  /** Content of a file whose path replaces `FILE` in the arguments. */
  readonly file?: string
}

const newKey = (): string => formatPrivateKey(generateEd25519(realEnv))

/** Nine levels of nine aliases each: a billion words from a few hundred bytes. */
const bomb = Array.from('abcdefghi', (name, level) => {
  const inner = level === 0 ? 'x' : `*${'abcdefghi'[level - 1]}`
  return `${name}: &${name} [${Array(9).fill(inner).join(',')}]\n`
}).join('')

const rows: readonly Row[] = [
  { name: 'an unknown command', program: 'tsh', args: ['lgoin'], says: 'Did you mean login?' },
  { name: 'an unknown flag', program: 'tsh', args: ['login', '--prox=x'], says: 'Did you mean --proxy?' },
  { name: 'an extra argument', program: 'tsh', args: ['status', 'now'], says: 'too many arguments' },
  { name: 'a missing argument', program: 'tsh', args: ['ssh'], says: "missing required argument 'host'" },
  {
    name: 'a host that looks like an option',
    program: 'tsh',
    args: ['ssh', '--', '-oProxyCommand=id'],
    says: 'label name',
  },
  { name: 'a host name with a shell in it', program: 'tsh', args: ['ssh', '$(id)'], says: 'is not a host name' },
  { name: 'a login with a space', program: 'tsh', args: ['ssh', 'a b@node-1'], says: 'not a valid login' },
  { name: 'a port out of range', program: 'tsh', args: ['ssh', '-p', '99999', 'node-1'], says: '99999' },
  { name: 'a forward without a target', program: 'tsh', args: ['ssh', '-L', '80', 'node-1'], says: '-L' },
  {
    name: 'an OpenSSH option tsh does not know',
    program: 'tsh',
    args: ['ssh', '-o', 'PKCS11Provider=x', 'node-1'],
    says: 'PKCS11Provider',
  },
  {
    name: 'switching host checks off',
    program: 'tsh',
    args: ['ssh', '-o', 'StrictHostKeyChecking=no', 'node-1'],
    says: 'always checks host certificates',
  },
  { name: 'a label selector without a value', program: 'tsh', args: ['ssh', 'env=', 'true'], says: 'NAME=VALUE' },
  {
    name: 'a lifetime that is none',
    program: 'tsh',
    args: ['login', '--proxy=localhost', '--ttl=soon'],
    says: '--ttl',
  },
  {
    name: 'a lifetime beyond the limit',
    program: 'tsh',
    args: ['login', '--proxy=localhost', '--ttl=31h'],
    says: '30 hours',
  },
  { name: 'a proxy that is no address', program: 'tsh', args: ['login', '--proxy=a b'], says: '--proxy' },
  {
    name: 'a connector that does not exist',
    program: 'tsh',
    args: ['login', '--proxy=localhost', '--auth=github'],
    says: 'github',
  },
  {
    name: 'an invite link of another scheme',
    program: 'tsh',
    args: ['signup', 'file:///etc/passwd'],
    says: 'invite link',
  },
  { name: 'a format that does not exist', program: 'tsh', args: ['ls', '--format=xml'], says: 'text, json, yaml' },
  { name: 'a shell that does not exist', program: 'tsh', args: ['completion', 'tcsh'], says: 'bash, zsh, fish' },
  {
    name: 'a damaged identity file',
    program: 'tsh',
    args: ['ls', '-i', 'FILE', '--proxy=localhost'],
    file: 'not an identity\n',
    says: 'private key',
  },
  { name: 'a user name with a slash', program: 'tctl', args: ['users', 'add', 'a/b'], says: 'user name' },
  {
    name: 'a user name with an escape sequence',
    program: 'tctl',
    args: ['users', 'add', '\u001b[31mred'],
    says: 'user name',
  },
  {
    name: 'a login that is no account name',
    program: 'tctl',
    args: ['users', 'add', 'zoe', '--logins=-froot'],
    says: 'login',
  },
  {
    name: 'a role name with a space',
    program: 'tctl',
    args: ['users', 'add', 'zoe', '--roles=a b'],
    says: 'role name',
  },
  { name: 'a token of an unknown role', program: 'tctl', args: ['tokens', 'add', '--type=kube'], says: 'kube' },
  {
    name: 'a token that is too short',
    program: 'tctl',
    args: ['tokens', 'add', '--type=node', '--value=short'],
    says: '--value',
  },
  { name: 'a signature for nobody', program: 'tctl', args: ['auth', 'sign', '--out=x'], says: '--user' },
  { name: 'a signature without a place', program: 'tctl', args: ['auth', 'sign', '--user=zoe'], says: '--out' },
  {
    name: 'a key that is none',
    program: 'tctl',
    args: ['auth', 'sign', '--user=zoe', '--out=x', '--key=FILE'],
    file: 'hello\n',
    says: '--key',
  },
  {
    name: 'a phase of a rotation that has not begun',
    program: 'tctl',
    args: ['auth', 'rotate', '--type=user', '--manual', '--phase=standby'],
    says: 'not being rotated',
  },
  {
    name: 'a phase of a rotation that nobody knows',
    program: 'tctl',
    args: ['auth', 'rotate', '--manual', '--phase=updte_clients'],
    says: 'update_clients',
  },
  {
    name: 'a phase without --manual',
    program: 'tctl',
    args: ['auth', 'rotate', '--phase=update_servers'],
    says: '--manual --phase=update_servers',
  },
  {
    name: 'a grace period that is no duration',
    program: 'tctl',
    args: ['auth', 'rotate', '--grace-period=soon'],
    says: '--grace-period',
  },
  { name: 'a kind that does not exist', program: 'tctl', args: ['get', 'rolse'], says: 'did you mean role' },
  { name: 'YAML that is none', program: 'tctl', args: ['create', 'FILE'], file: 'kind: [role\n', says: /FILE:\d/ },
  {
    name: 'a resource of no kind',
    program: 'tctl',
    args: ['create', 'FILE'],
    file: 'metadata: {name: x}\n',
    says: 'kind',
  },
  {
    name: 'a role with a misspelt key',
    program: 'tctl',
    args: ['create', 'FILE'],
    file: 'kind: role\nversion: v4\nmetadata: {name: dev}\nspec:\n  alow: {logins: [x]}\n',
    says: /FILE:5.*alow/,
  },
  {
    name: 'a second document that is wrong',
    program: 'tctl',
    args: ['create', 'FILE'],
    file: 'kind: role\nversion: v4\nmetadata: {name: first}\nspec: {}\n---\nkind: user\nversion: v2\nmetadata: {name: "a b"}\n',
    says: 'user name',
  },
  {
    name: 'a configuration with an unknown key',
    program: 'teleport',
    args: ['start', '-c', 'FILE'],
    file: 'auth_service:\n  cluster_nam: x\n',
    says: /FILE:2.*cluster_name/,
  },
  {
    name: 'a configuration for another protocol',
    program: 'teleport',
    args: ['start', '-c', 'FILE'],
    file: 'app_service: {enabled: yes}\n',
    says: 'app_service',
  },
  {
    name: 'an address without sense',
    program: 'teleport',
    args: ['start', '-c', 'FILE'],
    file: 'ssh_service: {listen_addr: "a:b:c"}\n',
    says: 'listen_addr',
  },
  { name: 'a role that does not exist', program: 'teleport', args: ['start', '--roles=auht'], says: 'auth' },
  { name: 'a pin that is none', program: 'teleport', args: ['start', '--ca-pin=sha256:12'], says: 'pin' },
  { name: 'labels that are none', program: 'teleport', args: ['start', '--labels=a'], says: 'label' },
  {
    name: 'a user with an unknown field',
    program: 'tctl',
    args: ['create', 'FILE'],
    file: 'kind: user\nversion: v2\nmetadata: {name: eve}\nspec:\n  rolls: [access]\n',
    says: /FILE:5.*rolls/,
  },
  {
    name: 'a role whose logins are no list',
    program: 'tctl',
    args: ['create', 'FILE'],
    file: 'kind: role\nversion: v4\nmetadata: {name: dev}\nspec:\n  allow: {logins: {a: b}}\n',
    says: /FILE:5.*logins/,
  },
  {
    name: 'a role of a version to come',
    program: 'tctl',
    args: ['create', 'FILE'],
    file: 'kind: role\nversion: v99\nmetadata: {name: dev}\nspec: {}\n',
    says: /FILE:2.*version/,
  },
  {
    name: 'a kind that cannot be created',
    program: 'tctl',
    args: ['create', 'FILE'],
    file: 'kind: node\nversion: v2\nmetadata: {name: x}\n',
    says: /FILE:1.*node.*cannot be created: nodes come by joining/,
  },
  {
    name: 'a kind that belongs to a later version',
    program: 'tctl',
    args: ['create', 'FILE'],
    file: '# a comment\nkind: trusted_cluster\nversion: v2\nmetadata: {name: x}\n',
    says: /FILE:2.*trusted_cluster.*not available in this version/,
  },
  {
    name: 'the beginning of a token, as listings show it',
    program: 'tctl',
    args: ['create', 'FILE'],
    file: 'kind: token\nversion: v2\nmetadata: {name: abcdef…}\nspec: {roles: [Node]}\n',
    says: /FILE:3.*only the beginning of a token/,
  },
  {
    name: 'YAML that unfolds without end',
    program: 'tctl',
    args: ['create', 'FILE'],
    file: `${bomb}kind: role\nversion: v4\nmetadata: {name: dev}\nspec: {}\n`,
    says: /FILE.*alias/,
  },
  {
    name: 'a configuration that unfolds without end',
    program: 'teleport',
    args: ['start', '-c', 'FILE'],
    file: `${bomb}ssh_service: {enabled: yes}\n`,
    says: /FILE.*alias/,
  },
  {
    name: 'YAML as deep as a well',
    program: 'tctl',
    args: ['create', 'FILE'],
    file: `kind: ${'['.repeat(20_000)}\n`,
    says: /FILE/,
  },
  {
    name: 'a resource file of 10 MB',
    program: 'tctl',
    args: ['create', 'FILE'],
    file: `# ${'x'.repeat(10_000_000)}\n`,
    says: /FILE.*larger than 1048576 bytes/,
  },
  {
    name: 'a configuration of 10 MB',
    program: 'teleport',
    args: ['start', '-c', 'FILE'],
    file: `# ${'x'.repeat(10_000_000)}\n`,
    says: /FILE.*larger than 262144 bytes/,
  },
  {
    name: 'a resource file of zero bytes of text',
    program: 'tctl',
    args: ['create', 'FILE'],
    file: '',
    says: /FILE.*no resource/,
  },
  {
    name: 'a resource file of binary rubbish',
    program: 'tctl',
    args: ['create', 'FILE'],
    file: '\u0000\u0001\u007fELF\u0002',
    says: /FILE/,
  },
  { name: 'a resource file that is a directory', program: 'tctl', args: ['create', '/etc'], says: '/etc' },
  { name: 'a resource file that is missing', program: 'tctl', args: ['create', '/none/x.yaml'], says: '/none/x.yaml' },
  {
    name: 'a configuration that is missing',
    program: 'teleport',
    args: ['start', '-c', '/none/teleport.yaml'],
    says: '/none/teleport.yaml',
  },
  {
    name: 'a public key for a signature that is none',
    program: 'tctl',
    args: ['auth', 'sign', '--user=zoe', '--key=FILE', '--out=x'],
    file: 'ssh-ed25519 AAAA\n',
    says: /FILE.*public key/,
  },
  {
    name: 'a certificate where a public key belongs',
    program: 'tctl',
    args: ['auth', 'sign', '--user=zoe', '--key=FILE', '--out=x'],
    file: 'ssh-ed25519-cert-v01@openssh.com AAAA\n',
    says: /FILE.*public key/,
  },
  {
    name: 'an identity file with a certificate cut short',
    program: 'tsh',
    args: ['ls', '-i', 'FILE', '--proxy=localhost'],
    file: `${newKey()}ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQ\n@cert-authority *.feat ssh-ed25519 AAAA\n`,
    says: /certificate/,
  },
  {
    name: 'an auth server that is no address',
    program: 'tctl',
    args: ['status', '--auth-server=a b:1'],
    says: '--auth-server',
  },
  {
    name: 'an auth server with a port out of range',
    program: 'tctl',
    args: ['status', '--auth-server=localhost:70000'],
    says: /--auth-server.*70000/,
  },
  { name: 'a proxy with a port out of range', program: 'tsh', args: ['login', '--proxy=h:0'], says: '--proxy' },
  { name: 'a time that is none', program: 'tctl', args: ['audit', 'ls', '--from=yesterdayish'], says: '--from' },
  { name: 'a limit that is none', program: 'tctl', args: ['audit', 'ls', '--limit=-1'], says: '--limit' },
  { name: 'a token lifetime that is none', program: 'tctl', args: ['nodes', 'add', '--ttl=1y'], says: '--ttl' },
  {
    name: 'a token with a control character',
    program: 'tctl',
    args: ['tokens', 'add', '--type=node', '--value=0123456789abcdef\u0007'],
    says: '--value',
  },
  { name: 'an unknown flag of tctl', program: 'tctl', args: ['users', 'add', 'x', '--login=x'], says: '--logins' },
  {
    name: 'a value for a flag without one',
    program: 'teleport',
    args: ['start', '--debug=x'],
    says: "'--debug' takes no value",
  },
  {
    name: 'an unknown flag with a secret',
    program: 'teleport',
    args: ['start', '--tokn=hunter2hunter2'],
    says: /^(?!.*hunter2).*Did you mean --token/,
  },
  { name: 'an unknown flag of teleport', program: 'teleport', args: ['start', '--role=node'], says: '--roles' },
  {
    name: 'a port that is a word',
    program: 'teleport',
    args: ['start', '-c', 'FILE'],
    file: 'ssh_service: {listen_addr: "0.0.0.0:ssh"}\n',
    says: /FILE:1.*listen_addr/,
  },
  {
    name: 'a number where a list belongs',
    program: 'teleport',
    args: ['start', '-c', 'FILE'],
    file: 'auth_service:\n  tokens: 7\n',
    says: /FILE:2.*tokens/,
  },
  {
    name: 'the same key twice',
    program: 'teleport',
    args: ['start', '-c', 'FILE'],
    file: 'teleport:\n  nodename: a\n  nodename: b\n',
    says: /FILE:[23].*nodename/,
  },
  {
    name: 'a node name with a newline',
    program: 'teleport',
    args: ['start', '-c', 'FILE'],
    file: 'teleport:\n  nodename: "a\\nb"\n',
    says: /FILE:2.*nodename/,
  },
  {
    name: 'a cluster name with a slash',
    program: 'teleport',
    args: ['start', '-c', 'FILE'],
    file: 'auth_service:\n  cluster_name: "../x"\n',
    says: /FILE:2.*cluster_name/,
  },
  {
    name: 'an advertised address that is none',
    program: 'teleport',
    args: ['start', '--advertise-ip=not an ip'],
    says: '--advertise-ip',
  },
  {
    name: 'an address to listen on that is none',
    program: 'teleport',
    args: ['start', '--listen-ip=x y'],
    says: '--listen-ip',
  },
  {
    name: 'a diagnosis address that is none',
    program: 'teleport',
    args: ['start', '--diag-addr=:x'],
    says: '--diag-addr',
  },
  {
    name: 'a token file that is missing',
    program: 'teleport',
    args: ['start', '--roles=node', '--token=/none/token', '--auth-server=127.0.0.1:1'],
    says: '/none/token',
  },
]

/** Everything below the data directory that a wrong command could have changed. */
const state = async () => [
  (await cluster.tctl('users', 'ls')).stdout,
  (await cluster.tctl('get', 'roles,tokens')).stdout,
  readdirSync(cluster.dir).filter((name) => !name.endsWith('.input')),
]

describe('bad input', () => {
  test.concurrent.each(rows.map((row, index) => ({ ...row, index })))(
    '$name',
    async ({ program, args, says, file, index }) => {
      const path = join(cluster.dir, `${index}.input`)
      if (file !== undefined) writeFileSync(path, file, { mode: 0o600 })
      const given = args.map((word) => word.replace('FILE', path))
      const where = program === 'tctl' ? ['-c', cluster.config] : []
      const result = await run(bin(program), [...where, ...given], {
        env: cluster.env({ TELEPORT_HOME: cluster.home('none') }),
      })
      const line = result.stderr.replaceAll(path, 'FILE')
      expect(result.code, line).toBe(2)
      expect(result.stdout).toBe('')
      if (typeof says === 'string') expect(line).toContain(says)
      else expect(line).toMatch(says)
      expect(line.trim().split('\n')).toHaveLength(1)
      expect(line).not.toMatch(/\n\s+at |internal error/)
      expect(line).not.toContain('\u001b')
    },
  )

  // A code is good once: what would be refused after it is refused before it, and before the proxy is asked anything.
  test.each([
    {
      name: 'a home that others can enter',
      mode: 0o755,
      args: [],
      says: /is open to other users; close it with: chmod 700/,
    },
    { name: 'a place for the identity that is not there', mode: 0o700, args: ['--out=/none/id'], says: /\/none/ },
    { name: 'a form of identity that is none', mode: 0o700, args: ['--out=/tmp/id', '--format=pem'], says: /--format/ },
  ])('$name is refused by tsh login before it asks for a password', async ({ mode, args, says }) => {
    const home = mkdtempSync(join(cluster.dir, 'loose-'))
    chmodSync(home, mode)
    const result = await run(bin('tsh'), ['login', '--insecure', '--proxy=127.0.0.1:1', ...args], {
      env: cluster.env({ TELEPORT_HOME: home }),
    })
    rmSync(home, { recursive: true })
    expect(result.code).not.toBe(0)
    expect(result.stderr.trim().split('\n')).toHaveLength(1)
    expect(result.stderr).toMatch(says)
  })

  test('nothing was changed by all of it', async () => {
    const [users, resources, files] = await state()
    expect(resources).not.toMatch(/name: (dev|eve)/)
    expect(users).toBe('User  Roles\n----  -----\n')
    expect(resources).not.toContain('name: first')
    expect(files).not.toContain('home-none')
    expect(readFileSync(cluster.config, 'utf8')).toContain('node-1')
  })
})
