/** The release: one number for the whole product. A constant, because `tsh version` should read no file; a test holds it to package.json. */

export const version = '0.1.0'

/** `Teleport v0.1.0 node:26.10.0`, as the original prints version, commit and runtime. */
export const versionLine = (): string => `Teleport v${version} node:${process.versions.node}`
