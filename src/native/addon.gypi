# What a target that speaks Node-API needs.
{
  "include_dirs": ["<!(node -p \"require('node-addon-api').include_dir\")"],
  "defines": [
    "NAPI_VERSION=8",
    "NODE_ADDON_API_CPP_EXCEPTIONS",
    "NODE_ADDON_API_CPP_EXCEPTIONS_ALL",
    "NODE_ADDON_API_DISABLE_DEPRECATED"
  ]
}
