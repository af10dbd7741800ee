import { Component, type ComponentChild, type FunctionComponent } from 'preact'

/** A component that is rendered again only if a property is another one. */
export function memo<TProps extends object>(render: (props: TProps) => ComponentChild): FunctionComponent<TProps> {
  class Memo extends Component<TProps> {
    override shouldComponentUpdate(next: TProps): boolean {
      return (Object.keys(next) as (keyof TProps)[]).some((name) => next[name] !== this.props[name])
    }
    override render(props: TProps): ComponentChild {
      return render(props)
    }
  }
  return Memo as unknown as FunctionComponent<TProps>
}
