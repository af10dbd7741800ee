import type { ComponentChildren } from 'preact'

interface FactProps {
  name: ComponentChildren
  /** What the name means. */
  hint?: string | undefined
  class?: string
  children: ComponentChildren
}

/** One name of a list of facts, and its value. */
export function Fact({ name, hint, class: kind, children }: FactProps) {
  return (
    <>
      <dt title={hint}>{name}</dt>
      <dd class={kind}>{children}</dd>
    </>
  )
}
