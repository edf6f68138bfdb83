/**
 * What the library's own provider does, without what it makes from the theme each time the page is opened: the variables of the theme
 * are in the style sheet (`theme-css.ts`), so that what is drawn before the scripts has its colours too.
 */

import {
  localStorageColorSchemeManager,
  MantineContext,
  MantineThemeProvider,
  useProviderColorScheme,
} from '@mantine/core'
import { type ReactNode, useMemo } from 'react'
import { styleNonce } from './style-nonce.ts'
import { theme } from './theme.ts'

const manager = localStorageColorSchemeManager()
const getRootElement = () => document.documentElement
const getStyleNonce = () => styleNonce

export function Colours({ children }: { children: ReactNode }) {
  const { colorScheme, setColorScheme, clearColorScheme } = useProviderColorScheme({
    defaultColorScheme: 'auto',
    forceColorScheme: undefined,
    manager,
    getRootElement,
  })
  const value = useMemo(
    () => ({
      colorScheme,
      setColorScheme,
      clearColorScheme,
      getRootElement,
      getStyleNonce,
      classNamesPrefix: 'mantine',
      cssVariablesSelector: ':root',
      // Names such as `mantine-Button-root`, which nobody here asks for, on each element.
      withStaticClasses: false,
    }),
    [colorScheme, setColorScheme, clearColorScheme],
  )
  return (
    <MantineContext value={value}>
      <MantineThemeProvider theme={theme}>{children}</MantineThemeProvider>
    </MantineContext>
  )
}
