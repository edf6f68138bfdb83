/** Colours with enough contrast to be read by everybody (WCAG 2.1 AA), in the light and in the dark. */

import { type CSSVariablesResolver, createTheme } from '@mantine/core'
import { text } from './text.ts'

export const theme = createTheme({
  primaryColor: 'indigo',
  primaryShade: { light: 7, dark: 7 },
  defaultRadius: 'md',
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif',
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace',
  headings: { fontWeight: '650' },
  cursorType: 'pointer',
  components: {
    Modal: { defaultProps: { closeButtonProps: { 'aria-label': text.close } } },
    // The focus goes to the first item, as in other menus, and not to an element without a name that no menu may hold.
    Menu: { defaultProps: { withInitialFocusPlaceholder: false } },
  },
})

export const variables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    '--mantine-color-body': '#f6f7f9',
    '--mantine-color-dimmed': '#5b6875',
    '--mantine-color-placeholder': '#5b6875',
    '--mantine-color-error': '#b3261e',
    '--mantine-color-anchor': '#3949ab',
    '--app-card': '#ffffff',
    '--app-line': '#dfe4ea',
    '--app-good': '#1b6e34',
    '--app-wait': '#7a5200',
    '--app-added': '#dff4e5',
    '--app-removed': '#fde8e8',
    '--app-bone': 'var(--mantine-color-gray-3)',
  },
  dark: {
    '--mantine-color-body': '#10151b',
    '--mantine-color-dimmed': '#9aa7b5',
    '--mantine-color-placeholder': '#9aa7b5',
    '--mantine-color-error': '#ff8a80',
    '--mantine-color-anchor': '#9fa8ff',
    '--app-card': '#182029',
    '--app-line': '#2a3540',
    '--app-good': '#7ddc97',
    '--app-wait': '#f2c14e',
    '--app-added': '#16351f',
    '--app-removed': '#41191a',
    '--app-bone': 'var(--mantine-color-dark-4)',
  },
})
