// One idempotency key per intent: pressing twice, or again after a lost answer, asks for the same run.

/** An idempotency key, and when it was made: a new key needs no look into the history. */
export interface Key {
  readonly value: string;
  readonly madeAt: string;
}

export class Intent {
  private key: Key | null = null;
  private of = "";

  /** Returns the key for this request: the last one, until the request changes or was settled. */
  keyFor(request: unknown): Key {
    const of = JSON.stringify(request);
    if (this.key === null || this.of !== of) {
      this.key = { value: randomKey(), madeAt: new Date().toISOString() };
      this.of = of;
    }
    return this.key;
  }

  /** The run exists: the next launch is another intent. */
  settle() {
    this.key = null;
  }
}

/** Works on pages that are not served securely too, where `crypto.randomUUID` is missing. */
function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return "ui:" + Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
