/** Message numbers and disconnect reasons of the transport and authentication layers (RFC 4250 section 4, OpenSSH PROTOCOL). */

export const Message = {
  DISCONNECT: 1,
  IGNORE: 2,
  UNIMPLEMENTED: 3,
  DEBUG: 4,
  SERVICE_REQUEST: 5,
  SERVICE_ACCEPT: 6,
  EXT_INFO: 7,
  KEXINIT: 20,
  NEWKEYS: 21,
  /** First message of every key exchange method we know (KEXDH_INIT, KEX_ECDH_INIT, KEX_HYBRID_INIT). */
  KEX_INIT: 30,
  KEX_REPLY: 31,
  USERAUTH_REQUEST: 50,
  USERAUTH_FAILURE: 51,
  USERAUTH_SUCCESS: 52,
  USERAUTH_BANNER: 53,
  /** Also USERAUTH_PASSWD_CHANGEREQ and USERAUTH_INFO_REQUEST: the meaning depends on the method. */
  USERAUTH_PK_OK: 60,
  /** First and last number of the connection protocol (RFC 4254). */
  CONNECTION_FIRST: 80,
  CONNECTION_LAST: 127,
  /** ping@openssh.com */
  PING: 192,
  PONG: 193,
} as const

/** RFC 4253 section 11.1. */
export const DisconnectReason = {
  HOST_NOT_ALLOWED_TO_CONNECT: 1,
  PROTOCOL_ERROR: 2,
  KEY_EXCHANGE_FAILED: 3,
  MAC_ERROR: 5,
  SERVICE_NOT_AVAILABLE: 7,
  PROTOCOL_VERSION_NOT_SUPPORTED: 8,
  HOST_KEY_NOT_VERIFIABLE: 9,
  CONNECTION_LOST: 10,
  BY_APPLICATION: 11,
  TOO_MANY_CONNECTIONS: 12,
  AUTH_CANCELLED_BY_USER: 13,
  NO_MORE_AUTH_METHODS_AVAILABLE: 14,
  ILLEGAL_USER_NAME: 15,
} as const
