/** The key in use. It is requested when it is first needed, and again after the server has rejected it. */
export class Tokens {
  #token: string | undefined
  #asking: Promise<string> | undefined

  constructor(private readonly ask: () => string | Promise<string>) {}

  /** The key. All callers that wait share one request. It rejects as `ask` does; the next call then asks again. */
  async get(): Promise<string> {
    return this.#token ?? (this.#asking ??= this.#renew())
  }

  /** Forget this key, which the server rejected. A newer key stays. */
  refuse(token: string): void {
    if (this.#token === token) this.#token = undefined
  }

  async #renew(): Promise<string> {
    try {
      this.#token = await this.ask()
      return this.#token
    } finally {
      this.#asking = undefined
    }
  }
}
