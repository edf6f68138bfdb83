/** `createMac` of Node 26 (OpenSSL's EVP_MAC), which the type definitions do not know yet. */

declare module 'node:crypto' {
  interface Mac {
    update(data: NodeJS.ArrayBufferView): this
    final(): Buffer
  }
  function createMac(algorithm: 'poly1305', key: NodeJS.ArrayBufferView): Mac
}

export {}
