/** Numbers of SFTP version 3. Source: draft-ietf-secsh-filexfer-02, and OpenSSH's sftp.h and PROTOCOL for its extensions. */

export const sftpVersion = 3

export const packetType = {
  init: 1,
  version: 2,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  fstat: 8,
  setstat: 9,
  fsetstat: 10,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  rmdir: 15,
  realpath: 16,
  stat: 17,
  rename: 18,
  readlink: 19,
  symlink: 20,
  status: 101,
  handle: 102,
  data: 103,
  name: 104,
  attrs: 105,
  extended: 200,
  extendedReply: 201,
} as const

export const statusCode = {
  ok: 0,
  eof: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  noConnection: 6,
  connectionLost: 7,
  unsupported: 8,
} as const

/** OpenSSH's words for the status codes. */
export const statusText: readonly string[] = [
  'Success',
  'End of file',
  'No such file',
  'Permission denied',
  'Failure',
  'Bad message',
  'No connection',
  'Connection lost',
  'Operation unsupported',
]

export const openFlag = { read: 1, write: 2, append: 4, create: 8, truncate: 16, exclusive: 32 } as const

export const attributeFlag = {
  size: 0x1,
  owner: 0x2,
  permissions: 0x4,
  times: 0x8,
  extended: 0x8000_0000,
} as const

/** Largest packet after its length field, as OpenSSH's SFTP_MAX_MSG_LENGTH. */
export const maxPacket = 256 * 1024
/** Bytes of a READ or WRITE that surely fit into a packet, as OpenSSH's SFTP_MAX_READ_LENGTH. */
export const maxTransfer = maxPacket - 1024
/** PATH_MAX is 4096; what is longer the kernel refuses anyway, in its own words up to here. */
export const maxPath = 65_536
/** The draft: handles are at most 256 bytes. */
export const maxHandle = 256
/** Extension pairs in INIT and VERSION, and in attributes. */
export const maxExtensions = 64

export const extensionName = {
  posixRename: 'posix-rename@openssh.com',
  statvfs: 'statvfs@openssh.com',
  fstatvfs: 'fstatvfs@openssh.com',
  hardlink: 'hardlink@openssh.com',
  fsync: 'fsync@openssh.com',
  lsetstat: 'lsetstat@openssh.com',
  limits: 'limits@openssh.com',
  expandPath: 'expand-path@openssh.com',
  copyData: 'copy-data',
  homeDirectory: 'home-directory',
  usersGroupsById: 'users-groups-by-id@openssh.com',
} as const
