import { useEffect } from 'preact/hooks'
import type { Load } from './load'

/** Load again some time after each answer, while somebody looks at the page. Without a time it does not. */
export function useRefresh({ value, failure, reload }: Load<unknown>, milliseconds: number | undefined): void {
  useEffect(() => {
    if (milliseconds === undefined || value === undefined || failure) return
    const leaving = new AbortController()
    const { signal } = leaving
    const again = () => (document.hidden ? document.addEventListener('visibilitychange', reload, { once: true, signal }) : reload())
    const timer = setTimeout(again, milliseconds)
    return () => {
      clearTimeout(timer)
      leaving.abort()
    }
  }, [value, failure, milliseconds])
}
