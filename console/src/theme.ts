import { remembered } from './store'

const THEMES = ['system', 'light', 'dark'] as const
export type Theme = (typeof THEMES)[number]

export const theme = remembered<Theme>('theme', 'system', (value): value is Theme => THEMES.includes(value as Theme))

/** Show the chosen theme, now and before the first rendering. */
export function applyTheme(): void {
  const chosen = theme.get()
  if (chosen === 'system') delete document.documentElement.dataset['theme']
  else document.documentElement.dataset['theme'] = chosen
}

export function nextTheme(): void {
  theme.set(THEMES[(THEMES.indexOf(theme.get()) + 1) % THEMES.length] ?? 'system')
  applyTheme()
}
