/** The variables of the theme as a style sheet, `virtual:theme.css`: made once, when the page is built. Without what the library's own sheet says already. */

import { convertCssVariables, DEFAULT_THEME, defaultCssVariablesResolver, mergeMantineTheme } from '@mantine/core'
import type { Plugin } from 'vite'
import { theme, variables } from './src/theme.ts'

const name = 'virtual:theme.css'

type Variables = Readonly<Record<string, string>>

const without = (all: Variables, known: Variables): Record<string, string> =>
  Object.fromEntries(Object.entries(all).filter(([key, value]) => known[key] !== value))

function themeVariables(): string {
  const merged = mergeMantineTheme(DEFAULT_THEME, theme)
  const [known, themed, own] = [
    defaultCssVariablesResolver(DEFAULT_THEME),
    defaultCssVariablesResolver(merged),
    variables(merged),
  ]
  return convertCssVariables(
    {
      variables: without({ ...themed.variables, ...own.variables }, known.variables),
      light: without({ ...themed.light, ...own.light }, known.light),
      dark: without({ ...themed.dark, ...own.dark }, known.dark),
    },
    ':root',
  )
}

export const themeCss = (): Plugin => ({
  name: 'theme-css',
  resolveId: (id) => (id === name ? name : undefined),
  load: (id) => (id === name ? themeVariables() : undefined),
})
