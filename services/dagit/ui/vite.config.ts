import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [react()],
  build: {
    // Dagit serves what is built here; the folder is not committed.
    outDir: "../src/dagwire_dagit/static",
    emptyOutDir: true,
    // Data: URLs would need a looser content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: "licenses.md" },
    sourcemap: false,
  },
  server: {
    // `npm run dev` talks to a Dagit on its usual port.
    proxy: { "/api": process.env.DAGIT_URL ?? "http://127.0.0.1:3000" },
  },
  test: { include: ["src/**/*.test.{ts,tsx}"] },
});
