# The addon, over a library of the engine. Kernels of an instruction set are a library of their own, so that its
# compiler flags reach no other file; which of them may run is found out at run time (kernels/cpu-features.cpp).
{
  "variables": {
    "openssl_fips": "",
    "sanitize%": "",
    "kernel_tests%": "<!(node -p \"+require('fs').existsSync('../../test/native/addon/kernels.cpp')\")"
  },
  "target_defaults": {
    "cflags!": ["-fno-omit-frame-pointer"],
    "cflags_cc!": ["-fno-exceptions", "-fno-rtti", "-std=gnu++17", "-std=gnu++20", "-fno-strict-aliasing"],
    "cflags_cc": [
      "-std=c++20", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden", "-Wall", "-Wextra",
      "-Wno-unused-parameter", "-Wno-psabi", "-Werror=missing-field-initializers"
    ],
    "xcode_settings": {
      "CLANG_CXX_LANGUAGE_STANDARD": "c++20",
      "GCC_ENABLE_CPP_EXCEPTIONS": "YES",
      "GCC_ENABLE_CPP_RTTI": "YES",
      "GCC_OPTIMIZATION_LEVEL": "3",
      "GCC_SYMBOLS_PRIVATE_EXTERN": "YES",
      "MACOSX_DEPLOYMENT_TARGET": "11.0",
      "OTHER_CPLUSPLUSFLAGS": ["-ffp-contract=off", "-fno-math-errno", "-Wall", "-Wextra", "-Wno-unused-parameter"]
    },
    "msvs_settings": {
      "VCCLCompilerTool": {
        "ExceptionHandling": 1,
        "Optimization": 2,
        "AdditionalOptions": ["/std:c++20", "/fp:precise"]
      }
    },
    "conditions": [
      # Every symbol at once: a missing one is then an error at loading, not the end of the process at the first call.
      ["OS=='linux'", { "ldflags": ["-Wl,-z,now"] }],
      ["sanitize!=''", {
        # Optimised little: the kernels take minutes to compile otherwise.
        "cflags_cc": ["-fsanitize=<(sanitize)", "-fno-sanitize-recover=all", "-O1", "-g1", "-fno-omit-frame-pointer"],
        "ldflags": ["-fsanitize=<(sanitize)"]
      }]
    ]
  },
  "targets": [
    {
      "target_name": "layerwise_native",
      "sources": ["<!@(node list-sources.cjs addon)"],
      "defines": ["LAYERWISE_VERSION=\"<!(node -p \"require('../../package.json').version\")\""],
      "dependencies": ["layerwise_engine"],
      "includes": ["addon.gypi"]
    },
    {
      "target_name": "layerwise_engine",
      "type": "static_library",
      "sources": [
        "<!@(node list-sources.cjs engine offline)",
        "kernels/cpu-features.cpp",
        "kernels/packed-matrix.cpp"
      ],
      "dependencies": ["kernels_scalar"],
      "conditions": [
        ["target_arch=='x64'", {
          "dependencies": ["kernels_avx2", "kernels_avx512", "kernels_avx512vnni", "kernels_avx512vbmi2"]
        }],
        ["target_arch=='arm64'", { "dependencies": ["kernels_neon", "kernels_neondot"] }]
      ]
    },
    { "target_name": "kernels_scalar", "type": "static_library", "sources": ["kernels/table-scalar.cpp"] }
  ],
  "conditions": [
    # The addon of the kernels' tests, where there are tests: a package has none.
    ["kernel_tests==1", {
      "targets": [
        {
          "target_name": "layerwise_kernels",
          "sources": [
            "../../test/native/addon/kernels.cpp", "addon/arguments.cpp", "addon/fields.cpp", "addon/weights.cpp"
          ],
          "dependencies": ["layerwise_engine"],
          "includes": ["addon.gypi"]
        }
      ]
    }],
    ["target_arch=='x64'", {
      "targets": [
        {
          "target_name": "kernels_avx2",
          "type": "static_library",
          "sources": ["kernels/table-avx2.cpp"],
          "cflags_cc": ["-mavx2", "-mfma", "-mf16c"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["-mavx2", "-mfma", "-mf16c"] },
          "msvs_settings": { "VCCLCompilerTool": { "AdditionalOptions": ["/arch:AVX2"] } }
        },
        {
          "target_name": "kernels_avx512",
          "type": "static_library",
          "sources": ["kernels/table-avx512.cpp"],
          "cflags_cc": ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mfma", "-mf16c"],
          "xcode_settings": {
            "OTHER_CPLUSPLUSFLAGS": ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mfma", "-mf16c"]
          },
          "msvs_settings": { "VCCLCompilerTool": { "AdditionalOptions": ["/arch:AVX512"] } }
        },
        {
          "target_name": "kernels_avx512vnni",
          "type": "static_library",
          "sources": ["kernels/table-avx512vnni.cpp"],
          "cflags_cc": ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni", "-mfma", "-mf16c"],
          "xcode_settings": {
            "OTHER_CPLUSPLUSFLAGS": [
              "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni", "-mfma", "-mf16c"
            ]
          },
          "msvs_settings": { "VCCLCompilerTool": { "AdditionalOptions": ["/arch:AVX512"] } }
        },
        {
          "target_name": "kernels_avx512vbmi2",
          "type": "static_library",
          "sources": ["kernels/table-avx512vbmi2.cpp"],
          "cflags_cc": [
            "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni", "-mavx512vbmi2", "-mfma", "-mf16c"
          ],
          "xcode_settings": {
            "OTHER_CPLUSPLUSFLAGS": [
              "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni", "-mavx512vbmi2", "-mfma",
              "-mf16c"
            ]
          },
          "msvs_settings": { "VCCLCompilerTool": { "AdditionalOptions": ["/arch:AVX512"] } }
        }
      ]
    }],
    ["target_arch=='arm64'", {
      "targets": [
        { "target_name": "kernels_neon", "type": "static_library", "sources": ["kernels/table-neon.cpp"] },
        {
          "target_name": "kernels_neondot",
          "type": "static_library",
          "sources": ["kernels/table-neondot.cpp"],
          "cflags_cc": ["-march=armv8.2-a+dotprod"],
          "xcode_settings": { "OTHER_CPLUSPLUSFLAGS": ["-march=armv8.2-a+dotprod"] }
        }
      ]
    }]
  ]
}
