/** From the configuration to what the auth service is told. */

import { networkInterfaces } from 'node:os'
import type { AuthSettings } from '../auth/settings.ts'
import { type Address, formatAddress, isWildcardHost } from '../common/address.ts'
import type { Config } from '../config/types.ts'

export function authSettings(config: Config): AuthSettings {
  const { auth, proxy } = config
  const { authentication } = auth
  const [webAddress] = proxy.publicAddrs
  return {
    secondFactor: authentication.secondFactor,
    webauthn: {
      enabled: authentication.webauthn.enabled,
      allowedCas: authentication.webauthn.attestationAllowedCas,
      deniedCas: authentication.webauthn.attestationDeniedCas,
      ...(authentication.webauthn.rpId === undefined ? {} : { rpId: authentication.webauthn.rpId }),
    },
    minPasswordLength: authentication.passwordMinLength,
    lockout: {
      failures: authentication.lockout.failures,
      windowMs: authentication.lockout.windowMs,
      lockMs: authentication.lockout.durationMs,
    },
    webIdleMs: auth.webIdleTimeoutMs,
    staticTokens: auth.tokens.map(({ roles, secret }) => ({ roles, value: secret })),
    recordingReserveBytes: auth.recordingReserveBytes,
    retention: { auditMs: auth.auditRetentionMs, recordingMs: auth.recordingRetentionMs },
    cluster: {
      clientIdleTimeout: Math.round(auth.clientIdleTimeoutMs / 1000),
      disconnectExpiredCert: auth.disconnectExpiredCert,
      keepAliveCountMax: auth.keepAliveCountMax,
      keepAliveInterval: Math.max(1, Math.round(auth.keepAliveIntervalMs / 1000)),
      sessionRecording: auth.sessionRecording,
      sessionDetachTimeout: Math.ceil(auth.sessionDetachTimeoutMs / 1000),
      messageOfTheDay: auth.messageOfTheDay,
      lockingMode: authentication.lockingMode,
      requireSessionMfa: authentication.requireSessionMfa,
    },
    fileSettings: auth.fileSettings,
    ...(webAddress === undefined ? {} : { webAddress: formatAddress(webAddress) }),
    authServers: authServers(config).map(formatAddress),
  }
}

/** Where other machines find this auth server: as configured, else by the address they most likely see. */
function authServers({ auth, advertise, nodename }: Config): readonly Address[] {
  if (auth.publicAddrs.length > 0) return auth.publicAddrs
  const { host, port } = auth.listenAddr
  if (advertise !== undefined) return [{ host: advertise.host, port }]
  if (!isWildcardHost(host)) return [{ host, port }]
  return [{ host: externalAddress() ?? nodename, port }]
}

function externalAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .find((each) => !each.internal && each.family === 'IPv4')?.address
}
