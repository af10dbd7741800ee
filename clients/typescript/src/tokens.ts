/** The key in use. It is asked for when it is first needed, and again after the server has refused it. */
export class Tokens {
  #token: string | undefined
  #asking: Promise<string> | undefined

  constructor(private readonly ask: () => string | Promise<string>) {}

  /** The key, asked for once by all who wait for it. Rejects as `ask` does; the next call then asks again. */
  async get(): Promise<string> {
    return this.#token ?? (this.#asking ??= this.#renew())
  }

  /** The server refused this key. A newer one stays. */
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
