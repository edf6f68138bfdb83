/** Names in certificates and words in refusals, apart from what reads them: `tsh ssh` has to start quickly. */

/** JSON: the device that was proved, and for which nodes. */
export const mfaVerifiedExtension = 'teleport-mfa-verified'
/** ISO time at which the login ends with which a shorter certificate was made: sessions outlive the minute. */
export const loginExpiresExtension = 'teleport-login-expires'
/** Some node may ask this user for a factor; a hint for clients that spares a refusal. */
export const sessionMfaHint = 'teleport-session-mfa'
/** Words that a client recognises in a refusal. */
export const sessionMfaRefusal = 'a second factor is required for each session'
