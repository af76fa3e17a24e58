package org.lvtmobile.app

import org.lvtmobile.core.EntryPoints
import org.lvtmobile.core.Manifest
import org.lvtmobile.core.PartsInfo
import org.lvtmobile.core.Session
import org.lvtmobile.core.Tensor
import org.lvtmobile.core.UserError
import org.lvtmobile.core.firstLine
import org.pytorch.executorch.DType
import org.pytorch.executorch.EValue
import org.pytorch.executorch.ExecutorchRuntimeException
import org.pytorch.executorch.Module
import java.io.File
import java.nio.FloatBuffer
import org.pytorch.executorch.Tensor as ExecuTorchTensor

/** A loaded .pte file. Not thread-safe. */
internal interface ExecuTorchProgram : AutoCloseable {
    val methods: List<String>

    /** Names of the delegates that a method uses. */
    fun backends(method: String): List<String>

    /** Loads a method, so that its first call does not. */
    fun load(method: String)

    /** Calls a method. */
    fun execute(method: String, inputs: List<EValue>): List<EValue>
}

/** A file in ExecuTorch's native library. */
internal class LoadedProgram(file: File, threads: Int) : ExecuTorchProgram {
    private val module: Module = Module.load(file.path, Module.LOAD_MODE_MMAP, threads)

    override val methods: List<String> get() = module.getMethods().toList()

    override fun backends(method: String): List<String> = module.getMethodMetadata(method).backends.toList()

    override fun load(method: String) {
        // Older versions return the error, newer ones throw it.
        val code: Any = module.loadMethod(method)
        if (code is Int && code != ExecutorchRuntimeException.OK) {
            throw ExecutorchRuntimeException.makeExecutorchException(code, "cannot load the method $method")
        }
    }

    @Suppress("SpreadOperator") // the parameters of the Java method
    override fun execute(method: String, inputs: List<EValue>): List<EValue> =
        module.execute(method, *inputs.toTypedArray()).toList()

    override fun close() = module.destroy()
}

/** A file with the whole model. */
internal class ExecuTorchSession(
    private val program: ExecuTorchProgram,
    private val function: ExecuTorchFunction,
) : Session, AutoCloseable by program {
    override fun run(image: Tensor): Map<String, Tensor> = function.call(listOf(image))
}

/** A file with a method for each entry point. */
internal class ExecuTorchEntryPoints(
    private val program: ExecuTorchProgram,
    file: String,
    private val parts: PartsInfo,
) : EntryPoints, AutoCloseable by program {
    private val functions = parts.entryPoints.associate { entry ->
        entry.name to
            ExecuTorchFunction(program, entry.name, "${entry.name} of $file", entry.inputs, entry.outputs)
    }

    override fun call(name: String, inputs: Map<String, Tensor>): Map<String, Tensor> =
        functions.getValue(name).call(parts.entryPoint(name).inputs.map { inputs.getValue(it.name) })
}

/**
 * A method of a loaded file. Inputs and outputs have no names in the file; the manifest lists them in its order.
 *
 * @param name the function in error messages.
 */
internal class ExecuTorchFunction(
    private val program: ExecuTorchProgram,
    private val method: String,
    private val name: String,
    inputs: List<Manifest.TensorInfo>,
    private val outputs: List<Manifest.TensorInfo>,
) {
    private val buffers: List<FloatBuffer> =
        inputs.map { ExecuTorchTensor.allocateFloatBuffer(it.shape.fold(1, Int::times)) }

    /** Views of the buffers: what is written to them is what the next call reads. */
    private val values: List<EValue> = inputs.zip(buffers) { info, buffer ->
        EValue.from(ExecuTorchTensor.fromBlob(buffer, LongArray(info.shape.size) { info.shape[it].toLong() }))
    }

    /**
     * Calls the method.
     *
     * @param inputs in the order of the manifest.
     * @return the outputs by name.
     * @throws UserError ExecuTorch cannot run the method, or its outputs are not the declared ones.
     */
    fun call(inputs: List<Tensor>): Map<String, Tensor> {
        inputs.zip(buffers) { input, buffer ->
            buffer.rewind()
            buffer.put(input.values)
            buffer.rewind()
        }
        val results = try {
            program.execute(method, values)
        } catch (error: RuntimeException) { // its own exceptions, and those of its JNI layer
            throw UserError("ExecuTorch cannot run $name: ${error.firstLine()}", error)
        }
        if (results.size != outputs.size) {
            throw UserError(
                "$name has ${results.size} outputs, but its manifest declares ${outputs.size}; export it again",
            )
        }
        return outputs.zip(results) { info, result -> info.name to read(info, result.toTensor()) }.toMap()
    }

    private fun read(info: Manifest.TensorInfo, tensor: ExecuTorchTensor): Tensor {
        val shape = tensor.shape().map { it.toInt() }
        if (shape != info.shape) {
            throw UserError(
                "output ${info.name} of $name has shape $shape, but its manifest declares ${info.shape}; " +
                    "export it again",
            )
        }
        val values = when (tensor.dtype()) {
            DType.FLOAT -> tensor.dataAsFloatArray
            DType.INT32 -> tensor.dataAsIntArray.let { integers -> FloatArray(integers.size) { integers[it].toFloat() } }
            else -> throw UserError("output ${info.name} of $name has type ${tensor.dtype()}; float or int32 is expected")
        }
        return Tensor(shape, values)
    }
}
