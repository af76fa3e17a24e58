package org.lvtmobile.app

import android.content.Context
import android.content.res.AssetManager
import java.io.File

private const val MODELS = "models"

/** The artifacts in the assets of the app. */
class AssetFiles(private val assets: AssetManager) : BundledFiles {
    override fun names(): List<String> = assets.list(MODELS).orEmpty().toList()

    override fun readText(name: String): String = assets.open("$MODELS/$name").use { it.reader().readText() }

    override fun copy(name: String, to: File) {
        assets.open("$MODELS/$name").use { source -> to.outputStream().use(source::copyTo) }
    }
}

/** Folders for artifacts: the folder that `adb push` can write, if the device has it, and the app's private folder. */
fun Context.modelFolders(): List<File> = listOfNotNull(getExternalFilesDir(MODELS), File(filesDir, MODELS))

/** All artifacts that the user can choose. */
fun Context.modelRepository(): ModelRepository =
    ModelRepository(modelFolders(), AssetFiles(assets), File(noBackupFilesDir, MODELS))
