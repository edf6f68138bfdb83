/** `tsh mfa`: the user's own second factors. */

import { toString as qrToString } from 'qrcode'
import type { FactorChoice, MfaAction, MfaDevice, Proof } from '../../../api/mfa-model.ts'
import {
  addMfaDevice,
  beginMfaDevice,
  grantCertificate,
  listMfaDevices,
  newRecoveryCodes,
  removeMfaDevice,
  startCeremony,
} from '../../../api/routes.ts'
import { parseDuration } from '../../../common/durations.ts'
import { formatTable } from '../../../common/text.ts'
import { BadParameter } from '../../../errors/errors.ts'
import { print } from '../../common/output.ts'
import { printable } from '../../common/printable.ts'
import { ask } from '../../common/prompt.ts'
import type { CommandRun } from '../../common/spec.ts'
import { shortTime } from '../../common/time.ts'
import { withAuthApi } from '../auth-api.ts'
import { certificateOfLine, publicKeyLine, validBefore } from '../keys.ts'
import { addGrantToAgent, agentWanted } from '../local-agent.ts'
import { type ActiveLogin, activeLogin, wantedFrom } from '../login-state.ts'
import { browserCeremony } from '../mfa/browser.ts'
import { saveGrant } from '../mfa/grants.ts'
import { prove } from '../mfa/prove.ts'
import { prepareHome } from '../profile.ts'
import { tshHome } from '../store.ts'

type Api = Parameters<Parameters<typeof withAuthApi>[1]>[0]

const typeNames = { totp: 'TOTP', webauthn: 'WebAuthn' } as const

export const mfaLs: CommandRun = async ({ options }) => {
  const { items } = await withAuthApi(activeLogin(wantedFrom(options), new Date()), (api) => api.call(listMfaDevices))
  const devices = [...items].sort((a, b) => a.addedAt.localeCompare(b.addedAt) || a.name.localeCompare(b.name))
  await print(options.string('format'), devices, () => {
    const verbose = options.flag('verbose')
    return formatTable(
      ['Name', ...(verbose ? ['ID'] : []), 'Type', 'Added at', 'Last used'],
      devices.map(({ name, id, kind, addedAt, lastUsed }) => [
        name,
        ...(verbose ? [id] : []),
        typeNames[kind],
        shortTime(new Date(addedAt)),
        lastUsed === undefined ? 'never' : shortTime(new Date(lastUsed)),
      ]),
    )
  })
  return 0
}

const proofFor = (api: Api, login: ActiveLogin, choice: FactorChoice, action: MfaAction, recovery = true) =>
  prove({
    choice,
    settings: login.mfa,
    recovery,
    start: (callback) => api.call(startCeremony, { body: { action, callback } }),
  })

export const mfaAdd: CommandRun = async ({ options }) => {
  const login = activeLogin(wantedFrom(options), new Date())
  return await withAuthApi(login, async (api) => {
    const { items, choice } = await api.call(listMfaDevices)
    const device = kindOf(
      options.string('type') ?? (await ask('Type of the new device, TOTP or WEBAUTHN:\n', { hidden: false })),
    )
    const name = (options.string('name') ?? (await ask('Name of the new device:\n', { hidden: false }))).trim()
    const action = { kind: 'add_device', device, name } as const
    const first = items.length === 0 && !choice.recoveryCode
    if (!first) process.stderr.write('Prove a second factor that you have.\n')
    const proof: Proof = first ? {} : await proofFor(api, login, choice, action)
    const password = first
      ? await ask(`Enter password for Teleport user ${login.profile.user}:\n`, { hidden: true })
      : undefined
    const body = { action, proof, ...(password === undefined ? {} : { password }) }
    const added = device === 'totp' ? await addApp(api, body) : await addKey(api, login, body)
    process.stdout.write(`The device "${printable(added.device.name)}" has been added.\n`)
    if (added.recoveryCodes !== undefined) showRecoveryCodes(added.recoveryCodes)
    return 0
  })
}

function kindOf(text: string): MfaDevice['kind'] {
  switch (text.trim().toLowerCase()) {
    case 'totp':
    case 'otp':
      return 'totp'
    case 'webauthn':
    case 'u2f':
      return 'webauthn'
    default:
      throw new BadParameter('--type', `--type: ${JSON.stringify(text)} is not TOTP or WEBAUTHN`)
  }
}

interface AddBody {
  readonly action: Extract<MfaAction, { kind: 'add_device' }>
  readonly proof: Proof
  readonly password?: string
}

async function addApp(api: Api, body: AddBody) {
  const { totp } = await api.call(beginMfaDevice, { body })
  if (totp === undefined) throw new BadParameter('type', 'the cluster did not answer with a secret')
  await showSecret(totp)
  const answer = await ask('Code that the new device shows:\n', { hidden: false })
  const code = answer.replaceAll(/\s/g, '')
  return await api.call(addMfaDevice, {
    body: { action: body.action, totp: { registration: totp.registration, code } },
  })
}

async function addKey(api: Api, login: ActiveLogin, body: AddBody) {
  process.stderr.write('Now the new security key.\n')
  const ceremony = await browserCeremony(login.mfa, async (callback) => {
    const begun = await api.call(beginMfaDevice, { body: { ...body, callback } })
    if (begun.ceremony === undefined) throw new BadParameter('type', 'the cluster did not answer with a page')
    return begun.ceremony
  })
  return await api.call(addMfaDevice, { body: { action: body.action, ceremony } })
}

/** For an authenticator app. */
export async function showSecret(otp: { readonly secret: string; readonly uri: string }): Promise<void> {
  const picture = await qrToString(otp.uri, { type: 'utf8', errorCorrectionLevel: 'L' })
  process.stderr.write(`\nScan this with an authenticator app:\n\n${picture}\n`)
  process.stderr.write(`or type the secret into it: ${printable(otp.secret)}\n\n`)
}

export function showRecoveryCodes(codes: readonly string[]): void {
  process.stdout.write(
    `\nRecovery codes, each good once in place of your second factor. Keep them in a safe place; they are shown only now:\n\n`,
  )
  for (const code of codes) process.stdout.write(`  ${printable(code)}\n`)
  process.stdout.write('\n')
}

export const mfaRm: CommandRun = async ({ options, args }) => {
  const login = activeLogin(wantedFrom(options), new Date())
  return await withAuthApi(login, async (api) => {
    const { choice } = await api.call(listMfaDevices)
    const action = { kind: 'remove_device', device: args[0] ?? '' } as const
    const removed = await api.call(removeMfaDevice, {
      body: { action, proof: await proofFor(api, login, choice, action) },
    })
    process.stdout.write(`The device "${printable(removed.name)}" has been removed.\n`)
    return 0
  })
}

export const mfaRecoveryCodes: CommandRun = async ({ options }) => {
  const login = activeLogin(wantedFrom(options), new Date())
  return await withAuthApi(login, async (api) => {
    const { choice } = await api.call(listMfaDevices)
    const proof = await proofFor(api, login, choice, { kind: 'recovery_codes' })
    const { codes } = await api.call(newRecoveryCodes, { body: { proof } })
    process.stdout.write('Earlier recovery codes are void from now on.\n')
    showRecoveryCodes(codes)
    return 0
  })
}

export const mfaGrant: CommandRun = async ({ options }) => {
  const login = activeLogin(wantedFrom(options), new Date())
  const hosts = (options.string('hosts') ?? '')
    .split(',')
    .map((host) => host.trim())
    .filter((host) => host !== '')
  if (hosts.length === 0)
    throw new BadParameter('--hosts', '--hosts: name servers, or labels: --hosts=db-1,env=staging')
  const ttlSeconds = Math.round(
    parseDuration(options.string('ttl') ?? '30m', { bare: 'minutes', name: '--ttl' }) / 1000,
  )
  if (!login.fromFile) prepareHome(tshHome(), login.profile.proxyHost)
  const action = { kind: 'grant', publicKey: publicKeyLine(login.key.publicKey), hosts, ttlSeconds } as const
  return await withAuthApi(login, async (api) => {
    const { choice } = await api.call(listMfaDevices)
    const proof = await proofFor(api, login, choice, action, false)
    const { certificate } = await api.call(grantCertificate, { body: { action, proof } })
    if (!login.fromFile) saveGrant(login, certificate)
    const granted = certificateOfLine(certificate, 'certificate')
    if (agentWanted(options)) await addGrantToAgent(login, granted, new Date())
    const until = shortTime(validBefore(granted))
    process.stdout.write(`Sessions on ${hosts.map(printable).join(', ')} need no further proof until ${until}.\n`)
    return 0
  })
}
