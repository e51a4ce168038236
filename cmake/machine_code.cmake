# Machine code for NVIDIA cards: every .cu file becomes a fat binary, and the library carries its bytes.
#
# CMAKE_CUDA_COMPILER is nvcc, CMAKE_CUDA_ARCHITECTURES what it compiles for, as CMake names it: 89-real, 75-virtual (PTX, which drivers
# compile for cards to come), or 86 for both. They are CMake's own names, but its language CUDA is not used: there is no host code in
# .cu files, and nothing is linked.
#
# Drivers from 525 on load what the tools of CUDA 12 write; machine code of CUDA 13's own ptxas needs 580. So the PTX of a newer nvcc is
# assembled by a ptxas of CUDA 12, FUDE_PTXAS, where there is one (scripts/ptxas). Blackwell's cards need driver 570 anyway.

# The newest PTX that drivers from 525 on read, and that ptxas 12.9 does.
set(fude_oldest_ptx 8.0)
set(fude_ptx_of_cuda_12 8.8)

set(nvcc "")
set(fude_cuda_version "")
set(fude_needed_driver "525, 12000")
if(FUDE_CUDA)
  if(NOT CMAKE_CUDA_COMPILER AND DEFINED ENV{CUDACXX})
    set(CMAKE_CUDA_COMPILER $ENV{CUDACXX} CACHE FILEPATH "nvcc")
  endif()
  find_program(CMAKE_CUDA_COMPILER nvcc HINTS $ENV{CUDA_HOME}/bin PATHS /usr/local/cuda/bin /opt/cuda/bin)
  if(CMAKE_CUDA_COMPILER)
    set(nvcc ${CMAKE_CUDA_COMPILER})
    execute_process(COMMAND ${nvcc} --version OUTPUT_VARIABLE said COMMAND_ERROR_IS_FATAL ANY)
    string(REGEX MATCH "release ([0-9]+[.][0-9]+)" said "${said}")
    set(fude_cuda_version ${CMAKE_MATCH_1})
    set(why_not "${nvcc} is of CUDA ${fude_cuda_version}, and fude needs 12.8 or newer")
  else()
    set(fude_cuda_version 0)
    set(why_not "nvcc was not found; scripts/nvcc says how to get it")
  endif()
  if(fude_cuda_version VERSION_LESS 12.8)
    if(NOT FUDE_CUDA STREQUAL "AUTO")
      message(FATAL_ERROR "${why_not}")
    endif()
    message(STATUS "No code for NVIDIA cards: ${why_not}")
    set(nvcc "")
    set(fude_cuda_version "")
  endif()
endif()
if(nvcc)
  if(NOT CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90a-real 120-real 75-virtual)
  endif()
  get_filename_component(nvcc_folder ${nvcc} REALPATH)
  get_filename_component(nvcc_folder ${nvcc_folder} DIRECTORY)
  find_path(fude_cuda_headers cuda.h HINTS ${nvcc_folder}/../include ${nvcc_folder}/../targets/x86_64-linux/include NO_CACHE)
  find_program(fatbinary fatbinary HINTS ${nvcc_folder} NO_CACHE REQUIRED)
  set(FUDE_PTXAS "" CACHE FILEPATH "ptxas of CUDA 12; empty: build/ptxas, else the one beside nvcc")
  set(ptxas ${FUDE_PTXAS})
  if(NOT ptxas AND fude_cuda_version VERSION_GREATER_EQUAL 13)
    file(GLOB ptxas ${PROJECT_SOURCE_DIR}/build/ptxas/lib/python3*/site-packages/nvidia/cuda_nvcc/bin/ptxas)
  endif()
  if(ptxas)
    set(machine_ptx ${fude_ptx_of_cuda_12})
  else()
    unset(ptxas)  # an empty one is not looked for
    find_program(ptxas ptxas HINTS ${nvcc_folder} NO_CACHE REQUIRED)
    set(machine_ptx 99)  # any that nvcc writes
    if(fude_cuda_version VERSION_GREATER_EQUAL 13)
      set(fude_needed_driver "580, 13000")
    endif()
  endif()
endif()

# fude_machine_code(OUTPUT FILE.cu …): writes OUTPUT, which has the bytes of all.
function(fude_machine_code output)
  set(text "// Written by cmake/machine_code.cmake.
#include \"cuda/machine_code.h\"

namespace fude::cuda {

const char* const kMadeByCuda = \"${fude_cuda_version}\";
const DriverVersion kNeededDriver = {${fude_needed_driver}};

}  // namespace fude::cuda
")
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/machine_code)
  file(MAKE_DIRECTORY ${folder})
  set(all "")
  foreach(source IN LISTS ARGN)
    get_filename_component(name ${source} NAME_WE)
    if(NOT nvcc)
      string(APPEND text "extern \"C\" {\nextern const unsigned char fude_code_${name}[8];\n"
                         "const unsigned char fude_code_${name}[8] = {};\n}\n")
      continue()
    endif()
    set(images "")
    set(files "")
    foreach(architecture IN LISTS CMAKE_CUDA_ARCHITECTURES)
      string(REGEX MATCH "^([0-9]+[a-z]?)(-real|-virtual)?$" matched ${architecture})
      if(NOT matched)
        message(FATAL_ERROR "CMAKE_CUDA_ARCHITECTURES: ${architecture} is none that fude knows; such as 89-real or 75-virtual")
      endif()
      set(number ${CMAKE_MATCH_1})
      set(kind "${CMAKE_MATCH_2}")
      set(base ${folder}/${name}.${number})
      if(NOT kind STREQUAL "-virtual")
        fude_ptx(${source} ${number} ${base}.for_ptxas.ptx ${machine_ptx})
        add_custom_command(OUTPUT ${base}.cubin DEPENDS ${base}.for_ptxas.ptx ${ptxas} VERBATIM
                           COMMAND ${ptxas} -arch=sm_${number} ${base}.for_ptxas.ptx -o ${base}.cubin
                           COMMENT "Assembling ${name} for sm_${number}")
        list(APPEND images --image3=kind=elf,sm=${number},file=${base}.cubin)
        list(APPEND files ${base}.cubin)
      endif()
      if(NOT kind STREQUAL "-real")
        fude_ptx(${source} ${number} ${base}.ptx ${fude_oldest_ptx})
        list(APPEND images --image3=kind=ptx,sm=${number},file=${base}.ptx)
        list(APPEND files ${base}.ptx)
      endif()
    endforeach()
    # Compressed in the way that all drivers know; CUDA 13's default is a newer one.
    add_custom_command(OUTPUT ${folder}/${name}.fatbin DEPENDS ${files} VERBATIM
                       COMMAND ${fatbinary} --create=${folder}/${name}.fatbin -64 --compress-all --compress-mode=speed ${images})
    list(APPEND all ${folder}/${name}.fatbin)
    string(APPEND text "asm(FUDE_SECTION(\"fude_code_${name}\") \".balign 16\\n.globl fude_code_${name}\\nfude_code_${name}:\\n\"
    \".incbin \\\"${folder}/${name}.fatbin\\\"\\n.text\\n\");\n")
  endforeach()
  if(nvcc)
    string(PREPEND text "#ifdef _WIN32
#define FUDE_SECTION(name) \".section .rdata,\\\"dr\\\"\\n\"
#else
#define FUDE_SECTION(name) \".section .rodata\\n.hidden \" name \"\\n\"
#endif
")
  endif()
  file(CONFIGURE OUTPUT ${output} CONTENT "${text}" @ONLY)
  set_property(SOURCE ${output} PROPERTY OBJECT_DEPENDS "${all}")
endfunction()

# Compiles a .cu file to PTX of a version that is at most the one wanted.
function(fude_ptx source number ptx version)
  set(host "")
  if(CMAKE_CUDA_HOST_COMPILER)
    set(host -ccbin ${CMAKE_CUDA_HOST_COMPILER})
  endif()
  add_custom_command(OUTPUT ${ptx} DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${source} ${PROJECT_SOURCE_DIR}/cmake/lower_ptx.cmake
                     DEPFILE ${ptx}.d VERBATIM
                     COMMAND ${nvcc} ${host} --ptx -arch=compute_${number} -std=c++20 --expt-relaxed-constexpr -O3 -DNDEBUG
                             -I${PROJECT_SOURCE_DIR}/src -I${PROJECT_SOURCE_DIR}/include -MD -MF ${ptx}.d -MT ${ptx}
                             -o ${ptx} ${CMAKE_CURRENT_SOURCE_DIR}/${source}
                     COMMAND ${CMAKE_COMMAND} -DPTX=${ptx} -DVERSION=${version} -P ${PROJECT_SOURCE_DIR}/cmake/lower_ptx.cmake
                     COMMENT "Compiling ${source} for compute_${number}")
endfunction()
