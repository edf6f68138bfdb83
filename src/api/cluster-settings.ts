/**
 * Settings of the whole cluster as resources, of which there is one of each kind: what is in each, and its text form. Proxies and
 * nodes follow all of them together, as the `config` of the watch.
 */

import { z } from 'zod'
import { formatDuration, parseDuration } from '../common/durations.ts'
import { quote } from '../common/text.ts'
import {
  oneOf,
  parsedBy,
  parseYamlValue,
  strictObject,
  type YamlDocument,
  yamlBool,
  yamlString,
} from '../common/yaml.ts'
import { clusterConfig, secondFactor } from './model.ts'

/** Each spec is a part of the cluster's configuration; a new setting stands there and in one of these. */
export const settingsSpecs = {
  cluster_auth_preference: clusterConfig
    .pick({ secondFactor: true, requireSessionMfa: true, lockingMode: true, disconnectExpiredCert: true })
    .extend({ messageOfTheDay: z.string().max(4096) }),
  cluster_networking_config: clusterConfig.pick({
    clientIdleTimeout: true,
    keepAliveInterval: true,
    keepAliveCountMax: true,
    sessionDetachTimeout: true,
  }),
  session_recording_config: z.strictObject({
    sessionRecording: z.enum(['node', 'node-sync', 'proxy', 'proxy-sync', 'off']),
  }),
} as const

export type SettingsKind = keyof typeof settingsSpecs
export type SettingsSpec<Kind extends SettingsKind = SettingsKind> = z.infer<(typeof settingsSpecs)[Kind]>

export const settingsKinds = Object.keys(settingsSpecs) as readonly SettingsKind[]

/** `defaults` where nobody said anything, `config-file` where the file of the auth service did, `dynamic` where a resource was put. */
export const settingsOrigin = z.enum(['defaults', 'config-file', 'dynamic'])
export type SettingsOrigin = z.infer<typeof settingsOrigin>

export interface Settings<Kind extends SettingsKind = SettingsKind> {
  readonly spec: SettingsSpec<Kind>
  readonly origin: SettingsOrigin
  readonly revision: string
}

/** The original's label of where a setting comes from. */
const originLabel = 'teleport.dev/origin'

interface Form<Kind extends SettingsKind> {
  /** Of the one that there is. */
  readonly name: string
  readonly schema: z.ZodType<SettingsSpec<Kind>>
  toResource(spec: SettingsSpec<Kind>): Record<string, unknown>
}

const seconds = parsedBy((text) => {
  if (text === 'never') return 0
  const ms = parseDuration(text, { name: 'duration' })
  return Math.ceil(ms / 1000)
})
const factor = parsedBy((word) => {
  const known = secondFactor.options.find((each) => each === word)
  if (known === undefined) throw new Error(`must be one of ${secondFactor.options.join(', ')}, not ${quote(word)}`)
  return known
})
const text = (value: number) => formatDuration(value * 1000)
const LATER = 'not available in this version'

const forms: { readonly [Kind in SettingsKind]: Form<Kind> } = {
  cluster_auth_preference: {
    name: 'cluster-auth-preference',
    schema: strictObject(
      {
        type: oneOf(['local']).optional(),
        second_factor: factor,
        require_session_mfa: yamlBool.optional(),
        locking_mode: oneOf(['strict', 'best_effort']).optional(),
        disconnect_expired_cert: yamlBool.optional(),
        message_of_the_day: yamlString
          .refine((value) => value.length <= 4096, { message: 'is longer than 4096 characters' })
          .optional(),
      },
      {
        connector_name: `single sign-on is ${LATER}`,
        allow_local_auth: `single sign-on is ${LATER}, so that local users are always allowed`,
      },
    )
      .refine((spec) => spec.second_factor !== 'off' || spec.require_session_mfa !== true, {
        message: 'require_session_mfa needs a second_factor, which is off',
      })
      .transform((spec) => ({
        secondFactor: spec.second_factor,
        requireSessionMfa: spec.require_session_mfa ?? false,
        lockingMode: spec.locking_mode ?? 'best_effort',
        disconnectExpiredCert: spec.disconnect_expired_cert ?? false,
        messageOfTheDay: spec.message_of_the_day ?? '',
      })),
    toResource: (spec) => ({
      type: 'local',
      second_factor: spec.secondFactor,
      require_session_mfa: spec.requireSessionMfa,
      locking_mode: spec.lockingMode,
      disconnect_expired_cert: spec.disconnectExpiredCert,
      message_of_the_day: spec.messageOfTheDay,
    }),
  },
  cluster_networking_config: {
    name: 'cluster-networking-config',
    schema: strictObject(
      {
        client_idle_timeout: seconds.optional(),
        keep_alive_interval: seconds.refine((value) => value > 0, { message: 'must be more than nothing' }).optional(),
        keep_alive_count_max: z.number().int().min(1).max(1000).optional(),
        session_detach_timeout: seconds.optional(),
      },
      {
        session_control_timeout: LATER,
        web_idle_timeout: LATER,
        idle_timeout_message: LATER,
        proxy_listener_mode: LATER,
      },
    ).transform((spec) => ({
      clientIdleTimeout: spec.client_idle_timeout ?? 0,
      keepAliveInterval: spec.keep_alive_interval ?? 300,
      keepAliveCountMax: spec.keep_alive_count_max ?? 3,
      sessionDetachTimeout: spec.session_detach_timeout ?? 0,
    })),
    toResource: (spec) => ({
      client_idle_timeout: text(spec.clientIdleTimeout),
      keep_alive_interval: text(spec.keepAliveInterval),
      keep_alive_count_max: spec.keepAliveCountMax,
      session_detach_timeout: text(spec.sessionDetachTimeout),
    }),
  },
  session_recording_config: {
    name: 'session-recording-config',
    schema: strictObject({
      mode: oneOf(['node', 'node-sync', 'proxy', 'proxy-sync', 'off']),
      proxy_checks_host_keys: yamlBool
        .refine((value) => value, { message: `'no' is ${LATER}: proxies do not record` })
        .optional(),
    }).transform((spec) => ({ sessionRecording: spec.mode })),
    toResource: (spec) => ({ mode: spec.sessionRecording, proxy_checks_host_keys: true }),
  },
}

export const settingsName = (kind: SettingsKind): string => forms[kind].name

/** The resource, as `tctl get` prints it and `parseSettings` reads it back. */
export function settingsResource<Kind extends SettingsKind>(kind: Kind, settings: Settings<Kind>) {
  const { name, toResource } = forms[kind]
  const { origin, revision, spec } = settings
  return {
    kind,
    version: 'v2',
    metadata: { name, labels: { [originLabel]: origin }, revision },
    spec: toResource(spec),
  }
}

/** Throws BadParameter with every problem as `file:line: key: what`. */
export function parseSettings<Kind extends SettingsKind>(kind: Kind, document: YamlDocument): SettingsSpec<Kind> {
  const { name, schema } = forms[kind]
  return parseYamlValue(
    strictObject({
      kind: z.literal(kind),
      version: oneOf(['v1', 'v2']),
      metadata: strictObject({
        name: oneOf([name]).optional(),
        namespace: oneOf(['default', '']).optional(),
        // Written by listings; the store keeps its own.
        labels: z.record(z.string(), z.unknown()).optional(),
        id: z.unknown().optional(),
        revision: z.unknown().optional(),
      }).optional(),
      spec: schema as z.ZodType<SettingsSpec<Kind>>,
    }),
    document,
  ).spec
}
