/** Two clocks that differ are the least obvious reason for a refused certificate, so whoever can notice says so, in the same words. */

import type { Logger } from '../common/log.ts'
import type { Certificate } from '../ssh/certificate/types.ts'

/** Milliseconds before it was made from which a certificate of ours is valid, for clocks that are late. */
export const backdateMs = 60_000

/** When the auth service made the certificate, by its own clock. */
export const issuedAt = (certificate: Certificate): Date => new Date(Number(certificate.validAfter) * 1000 + backdateMs)

/** `5 min behind`: our clock against the other's. `skewMs` is what must be added to ours. */
export function describeSkew(skewMs: number): string {
  const seconds = Math.round(Math.abs(skewMs) / 1000)
  const [amount, unit] =
    seconds < 120
      ? [seconds, 's']
      : seconds < 7200
        ? [Math.round(seconds / 60), 'min']
        : [Math.round(seconds / 3600), 'h']
  return `${amount} ${unit} ${skewMs > 0 ? 'behind' : 'ahead of'}`
}

export const clockRemedy = 'certificates may be refused; set both clocks by NTP (timedatectl set-ntp true)'

/** Milliseconds. Beyond it certificates begin to look expired, or not yet valid. */
const worrying = 30_000

/** To be told each difference, in milliseconds. Logs the first worrying one, and again when it has changed by as much, or has gone. */
export function clockWatch(logger: Logger): (skewMs: number) => void {
  let told = 0
  return (skewMs) => {
    const worries = Math.abs(skewMs) > worrying
    if (worries && (told === 0 || Math.abs(skewMs - told) > worrying)) {
      told = skewMs
      logger.warn(`the clock of this machine is ${describeSkew(skewMs)} the auth server's; ${clockRemedy}`, {
        seconds: Math.round(skewMs / 1000),
      })
    } else if (!worries && told !== 0) {
      told = 0
      logger.info("the clock of this machine agrees with the auth server's again")
    }
  }
}
