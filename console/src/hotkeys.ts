import { useEffect, useRef } from 'preact/hooks'

/** What a key does. False if it does nothing here, so that the browser does what it always does. */
export type Hotkeys = Record<string, (event: KeyboardEvent) => unknown>

/** Keys of the screen that is shown. They do nothing while a person types, or with a modifier. */
export function useHotkeys(keys: Hotkeys): void {
  const latest = useRef(keys)
  latest.current = keys
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return
      if (isTyping(event.target) && event.key !== 'Escape') return
      const act = latest.current[event.key]
      if (!act) return
      if (act(event) !== false) event.preventDefault()
    }
    document.addEventListener('keydown', press)
    return () => document.removeEventListener('keydown', press)
  }, [])
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.matches('input, textarea, select') || target.isContentEditable)
}
