/** Colours of terminals. */

import type { ITheme } from '@xterm/xterm'

const normal = {
  red: '#cd3131',
  green: '#0dbc79',
  yellow: '#e5e510',
  blue: '#2472c8',
  magenta: '#bc3fbc',
  cyan: '#11a8cd',
}

export const themes: Readonly<Record<string, ITheme>> = {
  Night: { background: '#0d1217', foreground: '#e8ecf1', cursor: '#9fa8ff', selectionBackground: '#39486b', ...normal },
  Paper: {
    background: '#fdfdfd',
    foreground: '#17202a',
    cursor: '#3949ab',
    selectionBackground: '#c9d1f5',
    black: '#17202a',
    white: '#5b6875',
    brightBlack: '#5b6875',
    brightWhite: '#2a3540',
    red: '#b3261e',
    green: '#1b7a3d',
    yellow: '#8a6100',
    blue: '#2456b8',
    magenta: '#8e2f8e',
    cyan: '#0b6e84',
    brightRed: '#c4342c',
    brightGreen: '#21884a',
    brightYellow: '#946b00',
    brightBlue: '#2f63cb',
    brightMagenta: '#9d3c9d',
    brightCyan: '#0f7d95',
  },
  Solarized: {
    background: '#002b36',
    foreground: '#93a1a1',
    cursor: '#93a1a1',
    selectionBackground: '#0d4a5a',
    black: '#073642',
    red: '#dc322f',
    green: '#859900',
    yellow: '#b58900',
    blue: '#268bd2',
    magenta: '#d33682',
    cyan: '#2aa198',
    white: '#eee8d5',
  },
  Contrast: { background: '#000000', foreground: '#ffffff', cursor: '#ffff00', selectionBackground: '#0050b0' },
}
