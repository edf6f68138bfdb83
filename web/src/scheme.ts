/** Light or dark, before anything is drawn: a script of its own that the page waits for, beside its style sheet. Later it is the library's to change. */

const known = (): string | null => {
  try {
    return localStorage.getItem('mantine-color-scheme-value')
  } catch {
    // A browser that keeps nothing.
    return null
  }
}

const choose = (chosen: string | null): void => {
  const ofSystem = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'
  document.documentElement.dataset.mantineColorScheme = chosen === 'light' || chosen === 'dark' ? chosen : ofSystem
}

choose(known())
