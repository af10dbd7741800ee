import { useEffect, useState } from 'preact/hooks'

/** The value of a store outside of components, and a new rendering when it changes. */
export function useSyncExternalStore<T>(subscribe: (listener: () => void) => () => void, read: () => T): T {
  const [value, setValue] = useState(read)
  useEffect(() => {
    const update = () => setValue(() => read())
    update()
    return subscribe(update)
  }, [])
  return value
}

/** A value that this browser remembers, such as the theme. Everything still works if it cannot. */
export function remembered<T>(name: string, fallback: T, isValid: (value: unknown) => value is T) {
  const item = `synap:${name}`
  const listeners = new Set<() => void>()
  let value = read()
  function read(): T {
    try {
      const kept: unknown = JSON.parse(localStorage.getItem(item) ?? 'null')
      return isValid(kept) ? kept : fallback
    } catch {
      return fallback
    }
  }
  return {
    get: () => value,
    set(next: T): void {
      value = next
      try {
        localStorage.setItem(item, JSON.stringify(next))
      } catch {
        // Storage is full or forbidden: the value lives until the page is closed.
      }
      for (const listener of listeners) listener()
    },
    use: (): T =>
      useSyncExternalStore(
        (listener) => {
          listeners.add(listener)
          return () => listeners.delete(listener)
        },
        () => value,
      ),
  }
}
