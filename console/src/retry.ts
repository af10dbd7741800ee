/** Act after some time, or at once when the browser is online again; not if the signal aborts before. */
export function retryAfter(milliseconds: number, signal: AbortSignal, act: () => void): void {
  const done = new AbortController()
  const timer = setTimeout(once, milliseconds)
  function end(): void {
    clearTimeout(timer)
    done.abort()
  }
  function once(): void {
    end()
    act()
  }
  window.addEventListener('online', once, { signal: done.signal })
  signal.addEventListener('abort', end, { signal: done.signal })
}
