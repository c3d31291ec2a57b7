import js from "@eslint/js";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist", "node_modules", "public"] },
  js.configs.recommended,
  ...tseslint.configs.strict,
  // Of arrays that a loop's bounds keep within, an index is known to be there.
  { rules: { "@typescript-eslint/no-non-null-assertion": "off" } },
);
