import { useEffect, useState } from 'preact/hooks'
import { durationOf } from '../shown'
import { words as inboxWords } from '../text/inbox'

const SOON_MS = 300_000

/** How long it takes until a time, by the clock of this browser. */
export function Countdown({ until }: { until: string }) {
  const [now, setNow] = useState(Date.now)
  const left = Date.parse(until) - now
  useEffect(() => {
    if (left <= 0) return
    const timer = setInterval(() => setNow(Date.now()), 1_000)
    return () => clearInterval(timer)
  }, [left <= 0])
  return (
    <span class={left < SOON_MS ? 'badge warn' : undefined} role="timer" title={until}>
      {left <= 0 ? inboxWords.over : durationOf(Math.max(1_000, Math.floor(left / 1_000) * 1_000))}
    </span>
  )
}
