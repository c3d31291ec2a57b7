import { copyFileSync, createReadStream, createWriteStream, mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { constants, createGzip } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const OUTPUT = resolve(import.meta.dirname, "../rawnet_jax/web/built");
const RUNTIME = resolve(import.meta.dirname, "node_modules/onnxruntime-web/dist");

/** Copies ONNX Runtime's wasm build beside the page, the binary compressed. */
function runtime(): Plugin {
  return {
    name: "runtime",
    apply: "build",
    async closeBundle() {
      const folder = resolve(OUTPUT, "ort");
      mkdirSync(folder, { recursive: true });
      for (const name of ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs"]) {
        copyFileSync(resolve(RUNTIME, name), resolve(folder, name));
      }
      const name = "ort-wasm-simd-threaded.wasm";
      await pipeline(
        createReadStream(resolve(RUNTIME, name)),
        createGzip({ level: constants.Z_BEST_COMPRESSION }),
        createWriteStream(resolve(folder, `${name}.gz`)),
      );
    },
  };
}

export default defineConfig({
  base: "./",
  build: {
    outDir: OUTPUT,
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    assetsInlineLimit: 0,
  },
  worker: { format: "es" },
  plugins: [runtime()],
});
