/**
 * `teleport start`: one process for each role, so that no role's load or crash is another's. The supervisor checks what can be
 * checked before anything runs, joins the cluster, starts, watches, reloads and stops.
 */

import { openSync } from 'node:fs'
import { join } from 'node:path'
import { hostUuid } from '../api/host-uuid.ts'
import type { ServerRole } from '../api/model.ts'
import { type Address, formatAddress } from '../common/address.ts'
import type { Env } from '../common/env.ts'
import { writeFileAtomic } from '../common/files.ts'
import type { Logger } from '../common/log.ts'
import type { Config, LoadedConfig } from '../config/types.ts'
import { BadParameter } from '../errors/errors.ts'
import { convertSystemError, messageOf } from '../errors/system.ts'
import { makeDataDir, shareDataDir } from './data-dir.ts'
import { type JoinContext, joinLocally, joinRemotely, rolesToJoin } from './join.ts'
import { type DataLock, lockDataDirectory } from './lock.ts'
import { checkAddresses, type WantedAddress } from './ports.ts'
import { type RoleStart, roleVariable } from './role-main.ts'
import { type RoleCommand, type RoleLaunch, RoleProcess } from './role-process.ts'
import { checkReadable, checkServiceAccount, commandsAs, serviceAccount } from './service-user.ts'

export interface SupervisorOptions {
  readonly loaded: LoadedConfig
  readonly version: string
  /** The program that role processes run: `teleport` itself. */
  readonly script: string
  readonly env: Env
  readonly logger: Logger
  /** Writes for the person who started it. */
  say(line: string): void
  /** Reads the configuration again, for HUP. Throws when it is not usable. */
  reloadConfig(): Promise<LoadedConfig>
}

export interface Supervisor {
  readonly processes: readonly RoleProcess[]
  stop(signal: 'SIGTERM' | 'SIGQUIT'): Promise<void>
  reload(): Promise<void>
}

const order: readonly ServerRole[] = ['auth', 'proxy', 'node']

function enabledRoles({ config }: LoadedConfig): readonly ServerRole[] {
  const enabled = { auth: config.auth.enabled, proxy: config.proxy.enabled, node: config.ssh.enabled }
  return order.filter((role) => enabled[role])
}

/** The roles that need no root. */
const isServiceRole = (role: ServerRole | 'diag'): boolean => role === 'auth' || role === 'proxy'

function wantedAddresses({ config }: LoadedConfig, roles: readonly ServerRole[]) {
  const { auth, proxy, ssh, diagAddr } = config
  const all: readonly (WantedAddress & { readonly role: ServerRole | 'diag' })[] = [
    { role: 'auth', key: 'auth_service.listen_addr', ...auth.listenAddr },
    { role: 'proxy', key: 'proxy_service.listen_addr', ...proxy.listenAddr },
    { role: 'proxy', key: 'proxy_service.web_listen_addr', ...proxy.webListenAddr },
    { role: 'node', key: 'ssh_service.listen_addr', ...ssh.listenAddr },
    ...(diagAddr === undefined ? [] : [{ role: 'diag', key: 'teleport.diag_addr', ...diagAddr } as const]),
  ]
  return all.filter(({ role }) => role === 'diag' || roles.includes(role))
}

/** Resolves when every role listens. Throws, with nothing left running, when one cannot start. */
export async function startSupervisor(options: SupervisorOptions, signal: AbortSignal): Promise<Supervisor> {
  const { loaded, env, logger, say } = options
  const { config } = loaded
  const roles = enabledRoles(loaded)
  const owner = roles.includes('auth') || roles.includes('proxy') ? await serviceAccount(config, env) : undefined
  const addresses = wantedAddresses(loaded, roles)
  if (owner !== undefined)
    checkServiceAccount(
      owner,
      addresses.filter(({ role }) => isServiceRole(role)),
    )
  const asOwner = owner === undefined ? undefined : await commandsAs(owner, [process.execPath, options.script])
  await makeDataDir(config.dataDir)
  const lock = await lockDataDirectory(config.dataDir)
  const current = { config }
  const processes = roles.map((role) => roleProcess(role, options, current, isServiceRole(role) ? asOwner : undefined))
  try {
    await checkAddresses(addresses)
    await shareDataDir(config.dataDir, owner, roles)
    if (owner !== undefined) {
      const [own = 'proxy'] = roles.filter(isServiceRole)
      await checkReadable(owner, join(config.dataDir, own), 'let it pass through the directories above (chmod o+x)')
    }
    const uuid = await hostUuid(config.dataDir, env)
    const context: JoinContext = { config, uuid, owner, env, logger, signal }
    const missing = await rolesToJoin(context, roles)
    if (config.pidFile !== undefined) await writeFileAtomic(config.pidFile, `${process.pid}\n`, { mode: 0o644 })
    await startAll(processes, context, missing)
    signal.throwIfAborted()
    const diagnostics = config.diagAddr === undefined ? undefined : await startDiagnostics(config.diagAddr, processes)
    say(banner(loaded, processes, options.version))
    return {
      processes,
      async stop(how) {
        await diagnostics?.close()
        await stopAll(processes, how, lock, config.pidFile)
      },
      reload: () => reload(processes, options, current),
    }
  } catch (error) {
    await stopAll(processes, 'SIGTERM', lock, config.pidFile)
    throw error
  }
}

/**
 * Every packet that a role carries leaves its buffers outside of the JavaScript heap, and by default each 64 MB of them start a
 * collection of the whole heap: a quarter of all processor time under load, half of what ten thousand connected machines cost
 * auth. With the first flag they count like other garbage, and a collection comes when there is something to gain; the second
 * lets a role that carries much begin there. Measured: half the processor time for a transfer, the same peak of memory. Auth
 * carries little and has threads that would each keep as much.
 */
const heapFlags = ['--external-memory-accounted-in-global-limit', '--initial-old-space-size=200']
const heapFlagsOf = (role: ServerRole): readonly string[] => (role === 'auth' ? heapFlags.slice(0, 1) : heapFlags)

function roleProcess(
  role: ServerRole,
  { env, logger, version, script }: SupervisorOptions,
  current: { readonly config: Config },
  asOwner: ((command: RoleCommand) => RoleCommand) | undefined,
): RoleProcess {
  const start: RoleStart = { role, version }
  let launched = false
  const command = (): RoleCommand => ({
    file: process.execPath,
    args: [...process.execArgv, ...heapFlagsOf(role), script, 'start', `--roles=${role}`],
    env: { ...withoutToken(process.env), [roleVariable]: JSON.stringify(start) },
  })
  return new RoleProcess({
    role,
    env,
    logger,
    exclusive: role === 'auth',
    launch: () => {
      const { authToken: _, bootstrap, ...rest } = current.config
      // Once: a process that is started again after a crash finds the cluster that the first one made.
      const first = role === 'auth' && !launched && bootstrap !== undefined
      const config: Config = first ? { ...rest, bootstrap } : rest
      launched = true
      if (asOwner === undefined) return { command: command(), config }
      return { command: asOwner(command()), ...withOpenLog(config) }
    },
  })
}

/** A log file is root's: the role writes to a descriptor that we open. */
function withOpenLog(config: Config): Pick<RoleLaunch, 'config' | 'stderr'> {
  const { output } = config.log
  if (output === 'stderr' || output === 'stdout') return { config }
  try {
    const stderr = openSync(output, 'a', 0o600)
    return { config: { ...config, log: { ...config.log, output: 'stderr' } }, stderr }
  } catch (error) {
    throw convertSystemError(error, `open the log ${output}`)
  }
}

/** The join token is the supervisor's alone. */
function withoutToken(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { TELEPORT_SSH_TOKEN: _, ...rest } = env
  return rest
}

async function startAll(
  processes: readonly RoleProcess[],
  context: JoinContext,
  missing: readonly ServerRole[],
): Promise<void> {
  const start = (chosen: readonly RoleProcess[]) => Promise.all(chosen.map((process) => process.start()))
  if (missing.length === 0) {
    await start(processes)
    return
  }
  // Roles that have joined already do not wait for the others.
  const first = processes.filter((process) => !missing.includes(process.role))
  const late = processes.filter((process) => missing.includes(process.role))
  await start(first)
  if (context.config.auth.enabled) await joinLocally(context, missing)
  else await joinRemotely(context, missing)
  await start(late)
}

async function startDiagnostics(address: Address, processes: readonly RoleProcess[]) {
  const { serveDiagnostics } = await import('./metrics.ts')
  return await serveDiagnostics(address, processes)
}

async function stopAll(
  processes: readonly RoleProcess[],
  how: 'SIGTERM' | 'SIGQUIT',
  lock: DataLock,
  pidFile: string | undefined,
): Promise<void> {
  await Promise.all(processes.map((process) => process.stop(how)))
  await lock.release()
  if (pidFile !== undefined) {
    const { rm } = await import('node:fs/promises')
    await rm(pidFile, { force: true })
  }
}

/** One role after the other; a role whose new process does not start keeps its old one. */
async function reload(
  processes: readonly RoleProcess[],
  options: SupervisorOptions,
  current: { config: Config },
): Promise<void> {
  const { logger } = options
  try {
    const { config } = await options.reloadConfig()
    for (const key of ['user', 'dataDir'] as const) {
      if (config[key] !== options.loaded.config[key])
        throw new BadParameter(
          key,
          `teleport.${key === 'user' ? 'user' : 'data_dir'} has changed, which needs a restart`,
        )
    }
    current.config = config
  } catch (error) {
    logger.error(
      `the configuration was not reloaded: ${messageOf(convertSystemError(error, 'read the configuration'))}`,
    )
    return
  }
  for (const process of processes) await process.reload()
  logger.info('reloaded')
}

function banner(loaded: LoadedConfig, processes: readonly RoleProcess[], version: string): string {
  const { config, warnings } = loaded
  const cluster = processes.some((process) => process.role === 'auth') ? `, cluster ${config.auth.clusterName}` : ''
  const lines = [`Teleport ${version}: ${config.nodename}${cluster}, data in ${config.dataDir}`]
  for (const process of processes) {
    const where = process.listening.map(({ what, address }) => `${what} on ${address}`).join(', ')
    lines.push(`  ${process.role.padEnd(6)}${where}`)
    for (const note of process.notes) lines.push(`        ${note}`)
  }
  if (config.diagAddr !== undefined) lines.push(`  diag  HTTP on ${formatAddress(config.diagAddr)}`)
  for (const warning of warnings) lines.push(`  note: ${warning}`)
  return lines.join('\n')
}
