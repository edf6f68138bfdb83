/** The user's running ssh-agent: it gets the certificate at login and loses it at logout. */

import { lstatSync } from 'node:fs'
import { BadParameter, KindError } from '../../errors/errors.ts'
import { AgentClient } from '../../ssh/agent/client.ts'
import type { Certificate } from '../../ssh/certificate/types.ts'
import { errorLine } from '../common/exit.ts'
import type { OptionValues } from '../common/spec.ts'
import { validBefore } from './keys.ts'
import type { ActiveLogin } from './login-state.ts'

/** By this comment `tsh logout`, and people with `ssh-add -l`, know our entries. */
export const agentComment = (user: string): string => `teleport:${user}`

/** `--[no-]use-local-ssh-agent`, `-k auto|yes|no` and their variables. Throws BadParameter for another word. */
export function agentWanted(options: OptionValues, env: NodeJS.ProcessEnv = process.env): boolean {
  const flag = options.tristate('useLocalSshAgent')
  if (flag !== undefined) return flag
  const when = options.string('addKeysToAgent') ?? env.TELEPORT_ADD_KEYS_TO_AGENT ?? 'auto'
  if (!['auto', 'yes', 'no', 'only', ''].includes(when)) {
    throw new BadParameter('--add-keys-to-agent', `--add-keys-to-agent: ${JSON.stringify(when)} is not auto, yes or no`)
  }
  if (when === 'only') {
    throw new BadParameter(
      '--add-keys-to-agent',
      '--add-keys-to-agent: "only" is not in this version; use auto, yes or no',
    )
  }
  const variable = env.TELEPORT_USE_LOCAL_SSH_AGENT ?? ''
  return when !== 'no' && !['false', '0', 'no', 'off'].includes(variable.toLowerCase())
}

const grantComment = (user: string): string => `teleport-mfa:${user}`

async function connectAgent(env: NodeJS.ProcessEnv): Promise<AgentClient | undefined> {
  const path = env.SSH_AUTH_SOCK ?? ''
  // A variable that outlived its agent is ordinary and no reason for a warning.
  if (path === '' || lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return undefined
  try {
    return await AgentClient.connect(path)
  } catch (error) {
    process.stderr.write(`tsh: warning: ${errorLine(error)}\n`)
    return undefined
  }
}

/** Replaces our entries with this login, until its certificate ends. Trouble with the agent is a warning: the login itself stands. */
export async function addToAgent(login: ActiveLogin, now: Date, env: NodeJS.ProcessEnv = process.env): Promise<void> {
  const client = await connectAgent(env)
  if (client === undefined) return
  const comment = agentComment(login.profile.user)
  const lifetimeSeconds = Math.max(1, Math.floor((validBefore(login.certificate).getTime() - now.getTime()) / 1000))
  try {
    await removeEntries(client, comment)
    await client.add({ key: login.key, certificate: login.certificate, comment, lifetimeSeconds })
    await client.add({ key: login.key, comment, lifetimeSeconds })
  } catch (error) {
    if (!(error instanceof KindError)) throw error
    process.stderr.write(`tsh: warning: the certificate was not added to the ssh-agent: ${errorLine(error)}\n`)
  } finally {
    client.close()
  }
}

/** A certificate for sessions that need a second factor, before the login's own: programs try them in the order of the agent. */
export async function addGrantToAgent(
  login: ActiveLogin,
  certificate: Certificate,
  now: Date,
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  const client = await connectAgent(env)
  if (client === undefined) return
  const comment = grantComment(login.profile.user)
  const lifetimeSeconds = Math.max(1, Math.floor((validBefore(certificate).getTime() - now.getTime()) / 1000))
  try {
    await removeEntries(client, comment)
    await removeEntries(client, agentComment(login.profile.user))
    await client.add({ key: login.key, certificate, comment, lifetimeSeconds })
  } catch (error) {
    if (!(error instanceof KindError)) throw error
    process.stderr.write(`tsh: warning: the certificate was not added to the ssh-agent: ${errorLine(error)}\n`)
  } finally {
    client.close()
  }
  await addToAgent(login, now, env)
}

/** Throws when the agent holds an entry of ours and will not let go of it. */
export async function removeFromAgent(user: string, env: NodeJS.ProcessEnv = process.env): Promise<void> {
  const client = await connectAgent(env)
  if (client === undefined) return
  try {
    await removeEntries(client, grantComment(user))
    await removeEntries(client, agentComment(user))
  } finally {
    client.close()
  }
}

async function removeEntries(client: AgentClient, comment: string): Promise<void> {
  for (const entry of await client.list()) {
    if (entry.comment === comment) await client.remove(entry.blob)
  }
}
