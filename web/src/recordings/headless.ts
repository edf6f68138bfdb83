/** Stands for `@xterm/headless` in the page: a terminal that is never opened shows nothing, and the page has one already. */

import { Terminal } from '@xterm/xterm'

// biome-ignore lint/style/noDefaultExport: the package it stands for has one
export default { Terminal }
