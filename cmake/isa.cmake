# The instruction sets that this compiler can build for this processor: ELMAN_ISA_ALL lists
# their names, ELMAN_FLAGS_<name> holds the compiler's flags for each.
include(CheckCXXCompilerFlag)

set(ELMAN_ISA_ALL "")

# The compiler may be older than the flag: then there is one module less.
macro(elman_isa name flag)
    if("${flag}" STREQUAL "")
        set(ELMAN_ACCEPTS_${name} TRUE)
    else()
        check_cxx_compiler_flag("${flag}" ELMAN_ACCEPTS_${name})
    endif()
    if(ELMAN_ACCEPTS_${name})
        list(APPEND ELMAN_ISA_ALL ${name})
        set(ELMAN_FLAGS_${name} "${flag}")
    endif()
endmacro()

# On macOS the target is named apart from the machine.
set(elman_processor "${CMAKE_SYSTEM_PROCESSOR}")
if(CMAKE_OSX_ARCHITECTURES)
    set(elman_processor "${CMAKE_OSX_ARCHITECTURES}")
endif()

if(MSVC AND elman_processor MATCHES "^(x86_64|AMD64)$")
    elman_isa(baseline "")
    elman_isa(avx2 "/arch:AVX2")
    elman_isa(avx512 "/arch:AVX512")
elseif(elman_processor MATCHES "^(x86_64|AMD64)$")
    elman_isa(baseline "-march=x86-64")
    elman_isa(avx2 "-march=x86-64-v3")
    elman_isa(avx512 "-march=x86-64-v4")
    if(ELMAN_ACCEPTS_avx512 AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # GCC 12 warns of its own AVX-512 headers (its bug 105593).
        list(APPEND ELMAN_FLAGS_avx512 -Wno-uninitialized -Wno-maybe-uninitialized)
    endif()
elseif(elman_processor MATCHES "^(aarch64|arm64|ARM64)$")
    elman_isa(neon "")
else()
    elman_isa(baseline "")
endif()
