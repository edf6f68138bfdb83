/** SFTP version 3: packets, their types, and how they become bytes. Knows nothing of files or channels. */

export * from './constants.ts'
export {
  decodeInit,
  decodeReply,
  decodeRequest,
  packetHead,
  readLimits,
  readStatVfs,
  readUsersGroups,
} from './decode.ts'
export {
  encodeInit,
  encodeLimits,
  encodeReply,
  encodeRequest,
  encodeStatVfs,
  encodeUsersGroups,
  encodeWriteHeader,
  statusReply,
} from './encode.ts'
export { PacketSplitter } from './packets.ts'
export type * from './types.ts'
